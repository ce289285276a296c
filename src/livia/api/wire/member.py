"""Members on the wire (contract 30, part B)."""

from livia.api.wire import common
from livia.api.wire.attribute import Attribute, Null, Resource
from livia.api.wire.kinds import Boolean, Integer, IpAddress, Uuid

MEMBER = Resource(
    item="member",
    collection="members",
    argument="member_",
    attributes=(
        common.ID,
        common.NAME,
        *common.STATUSES,
        common.ADMIN_STATE_UP,
        Attribute(
            name="address",
            kind=IpAddress(),
            create=True,
            required=True,
            on_create_null=Null.REFUSE,
            filtered=True,
            sorted=True,
        ),
        Attribute(
            name="protocol_port",
            kind=Integer(1, 65535),
            create=True,
            required=True,
            on_create_null=Null.REFUSE,
            filtered=True,
            sorted=True,
        ),
        Attribute(
            name="weight",
            kind=Integer(0, 256),
            create=True,
            update=True,
            default=1,
            on_update_null=Null.DEFAULT,
            filtered=True,
            sorted=True,
        ),
        Attribute(
            name="backup",
            kind=Boolean(),
            create=True,
            update=True,
            default=False,
            on_update_null=Null.DEFAULT,
            filtered=True,
            sorted=True,
            since="2.1",
        ),
        Attribute(name="subnet_id", kind=Uuid(), create=True, filtered=True, sorted=True),
        Attribute(name="monitor_address", kind=IpAddress(), create=True, update=True, filtered=True, sorted=True),
        Attribute(name="monitor_port", kind=Integer(1, 65535), create=True, update=True, filtered=True, sorted=True),
        common.TAGS,
        Attribute(name="request_sriov", kind=Boolean(), create=True, default=False, shown=False, since="2.30"),
        Attribute(name="vnic_type", filtered=True, sorted=True, since="2.30"),
        *common.project(),
        *common.TIMES,
    ),
    more_filters={"ip_address": "ip_address", "pool_id": "pool_id"},
    nested_without=frozenset({"project_id", "tenant_id"}),
)
