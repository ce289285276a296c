"""Load balancers on the wire (contract 10, section 2)."""

from typing import Any

from livia.api.wire import common, schemas
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
    argument="additional_vip",
    attributes=(
        Attribute(
            name="subnet_id",
            kind=Uuid(),
            create=True,
            required=True,
            on_create_null=Null.REFUSE,
            about="The subnet of the address, on the network of the first VIP; one address per subnet.",
        ),
        Attribute(
            name="ip_address",
            kind=IpAddress(),
            create=True,
            shows=IpAddress().schema(),
            about="The address; chosen from the subnet unless given.",
        ),
        Attribute(
            name="port_id",
            kind=Uuid(),
            create=True,
            shows=Uuid().schema(),
            about="The port of the address: the one of the first VIP. Accepted in requests and ignored.",
        ),
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
        _vip(
            "vip_address",
            IpAddress(),
            about="The address that clients connect to; chosen from the subnet unless given.",
        ),
        _vip(
            "vip_port_id",
            Uuid(),
            about="The port that holds the address. A given one must exist and is kept when the load balancer is "
            "deleted; otherwise one is made.",
        ),
        _vip(
            "vip_subnet_id",
            Uuid(),
            about="The subnet of the address. One of port, network and subnet must be given; this is the usual one.",
        ),
        _vip(
            "vip_network_id",
            Uuid(),
            about="The network of the address. When it alone is given, a subnet with room is chosen, IPv4 preferred.",
        ),
        Attribute(
            name="vip_qos_policy_id",
            kind=Uuid(),
            create=True,
            update=True,
            filtered=True,
            sorted=True,
            about="The network service's quality-of-service policy for the VIP port; unless given, the given port's.",
        ),
        Attribute(
            name="vip_sg_ids",
            kind=Sequence(Uuid(), distinct=True),
            create=True,
            update=True,
            default=[],
            on_update_null=Null.DEFAULT,
            render=common.some_words,
            since="2.29",
            about="Security groups for the VIP port in place of the ones the service manages. While there are any, "
            "listeners cannot be given `allowed_cidrs`; listeners that have some already keep them.",
        ),
        Attribute(
            name="vip_vnic_type",
            filtered=True,
            sorted=True,
            since="2.28",
            shows=schemas.VNIC_TYPE,
            about="How the VIP port is attached: `direct` when the flavor asks for SR-IOV, else `normal`.",
        ),
        Attribute(
            name="additional_vips",
            kind=Nested(additional_vip, many=True),
            create=True,
            default=[],
            render=_additional_vips,
            since="2.26",
            about="Further addresses, each on a subnet of its own, all on the network and port of the first.",
        ),
        Attribute(
            name="listeners",
            kind=Nested(_listener, many=True),
            create=True,
            default=[],
            render=common.references,
            shows=schemas.REFERENCES,
            about="The listeners. POST takes whole ones and creates them along with the load balancer.",
        ),
        Attribute(
            name="pools",
            kind=Nested(_pool, many=True, as_given=True),
            create=True,
            default=[],
            render=common.references,
            shows=schemas.REFERENCES,
            about="The pools. POST takes whole ones, which listeners of the same request refer to by name.",
        ),
        _vip(
            "provider", Text(64), about="The name of the driver that serves it; unless given, the deployment's default."
        ),
        Attribute(
            name="flavor_id",
            kind=Uuid(),
            create=True,
            on_create_null=Null.CLEAR,
            filtered=True,
            sorted=True,
            since="2.6",
            about="The flavor it is built by. Leave it out for none: null is refused.",
        ),
        Attribute(
            name="availability_zone",
            kind=Text(255),
            create=True,
            on_create_null=Null.CLEAR,
            filtered=True,
            sorted=True,
            since="2.14",
            about="The name of the zone it is built in. Leave it out for none: null is refused.",
        ),
        common.TAGS,
    ),
    # Accepted, and nothing equals it (contract 00, section 10.2).
    more_filters={"vip_sg_ids": ""},
)
