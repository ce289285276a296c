"""Load balancers on the wire (contract 10, section 2)."""

from typing import Any

from livia.api.wire import common
from livia.api.wire.attribute import Attribute, Nested, Null, Resource
from livia.api.wire.kinds import IpAddress, Sequence, Text, Uuid


def _additional_vips(value: str | None) -> list[dict[str, str]]:
    names = ("subnet_id", "ip_address", "port_id")
    return [dict(zip(names, each.split(" "), strict=True)) for each in value.split(",")] if value else []


def _listener() -> Resource:
    from livia.api.wire.listener import LISTENER

    return LISTENER


def _pool() -> Resource:
    from livia.api.wire.pool import POOL

    return POOL


_ADDITIONAL_VIP = Resource(
    item="additional_vip",
    collection="additional_vips",
    argument="additional_vips",
    attributes=(
        Attribute(name="subnet_id", kind=Uuid(), create=True, required=True, on_create_null=Null.REFUSE),
        Attribute(name="ip_address", kind=IpAddress(), create=True),
        Attribute(name="port_id", kind=Uuid(), create=True),
    ),
)


def additional_vip() -> Resource:
    """One element of `additional_vips`."""
    return _ADDITIONAL_VIP


def _vip(name: str, kind: Any, **more: Any) -> Attribute:
    return Attribute(name=name, kind=kind, create=True, on_create_null=Null.OMIT, filtered=True, sorted=True, **more)


LOAD_BALANCER = Resource(
    item="loadbalancer",
    collection="loadbalancers",
    argument="load_balancer",
    attributes=(
        common.ID,
        common.NAME,
        common.DESCRIPTION,
        *common.STATUSES,
        common.ADMIN_STATE_UP,
        *common.project(),
        *common.TIMES,
        _vip("vip_address", IpAddress()),
        _vip("vip_port_id", Uuid()),
        _vip("vip_subnet_id", Uuid()),
        _vip("vip_network_id", Uuid()),
        Attribute(name="vip_qos_policy_id", kind=Uuid(), create=True, update=True, filtered=True, sorted=True),
        Attribute(
            name="vip_sg_ids",
            kind=Sequence(Uuid(), distinct=True),
            create=True,
            update=True,
            default=[],
            on_update_null=Null.DEFAULT,
            render=common.some_words,
            since="2.29",
        ),
        Attribute(name="vip_vnic_type", filtered=True, sorted=True, since="2.28"),
        Attribute(
            name="additional_vips",
            kind=Nested(additional_vip, many=True),
            create=True,
            default=[],
            render=_additional_vips,
            since="2.26",
        ),
        Attribute(
            name="listeners", kind=Nested(_listener, many=True), create=True, default=[], render=common.references
        ),
        Attribute(
            name="pools",
            kind=Nested(_pool, many=True, as_given=True),
            create=True,
            default=[],
            render=common.references,
        ),
        _vip("provider", Text(64)),
        Attribute(
            name="flavor_id",
            kind=Uuid(),
            create=True,
            on_create_null=Null.CLEAR,
            filtered=True,
            sorted=True,
            since="2.6",
        ),
        Attribute(
            name="availability_zone",
            kind=Text(255),
            create=True,
            on_create_null=Null.CLEAR,
            filtered=True,
            sorted=True,
            since="2.14",
        ),
        common.TAGS,
    ),
    # Accepted, and nothing equals it (contract 00, section 10.2).
    more_filters={"vip_sg_ids": ""},
)
