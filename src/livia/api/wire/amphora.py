"""Amphorae on the wire: only the service sets anything of them (contract 70, section 2)."""

from livia.api.wire import schemas
from livia.api.wire.attribute import Attribute, Resource
from livia.api.wire.kinds import Boolean, Integer, Kind, Text, Uuid
from livia.api.wire.schemas import Schema, nullable
from livia.core.model.amphora import Role
from livia.core.model.status import AmphoraStatus

_UUID = Uuid().schema()
_TEXT = Text().schema()
_NUMBER: Schema = {"type": "integer"}


def _shown(name: str, shows: Schema, about: str, *, kind: Kind | None = None, since: str = "2.0") -> Attribute:
    return Attribute(name=name, kind=kind, shows=shows, about=about, since=since, filtered=True, sorted=True)


AMPHORA = Resource(
    item="amphora",
    collection="amphorae",
    argument="amphora",
    attributes=(
        _shown("id", _UUID, "The id of the amphora."),
        _shown("loadbalancer_id", nullable(_UUID), "The load balancer it serves; null while it belongs to none."),
        _shown("compute_id", nullable(_TEXT), "Where it runs: the amphora host, or the virtual machine."),
        _shown("lb_network_ip", nullable(_TEXT), "The address by which controllers reach its agent."),
        _shown("vrrp_ip", nullable(_TEXT), "The address of its own port on the VIP's network."),
        _shown("ha_ip", nullable(_TEXT), "The VIP."),
        _shown("vrrp_port_id", nullable(_UUID), "Its own port on the VIP's network."),
        _shown("ha_port_id", nullable(_UUID), "The VIP's port."),
        _shown("cert_expiration", schemas.NULLABLE_TIME, "When the certificate of its agent expires; UTC."),
        _shown(
            "cert_busy",
            Boolean().schema(),
            "Whether the certificate of its agent is just being replaced.",
            kind=Boolean(),
        ),
        _shown(
            "role",
            nullable({"type": "string", "enum": list(map(str, Role))}),
            "Its part: the only one, or one of a pair. Which of a pair has the VIP is another question.",
        ),
        _shown("status", {"type": "string", "enum": list(map(str, AmphoraStatus))}, "How far its life has come."),
        _shown("vrrp_interface", nullable(_TEXT), "The interface that VRRP speaks on; null without a pair."),
        _shown("vrrp_id", nullable(_NUMBER), "The VRRP router id; null without a pair.", kind=Integer()),
        _shown("vrrp_priority", nullable(_NUMBER), "The VRRP priority, 1 to 254; null without a pair.", kind=Integer()),
        _shown("cached_zone", nullable(_TEXT), "The availability zone of the compute service it was placed in."),
        _shown("created_at", schemas.TIME, "When its row was made; UTC."),
        _shown("updated_at", schemas.NULLABLE_TIME, "When its row was last changed; UTC."),
        _shown("image_id", nullable(_UUID), "The image it was booted from; null where there are no images."),
        _shown(
            "compute_flavor",
            nullable(_TEXT),
            "The compute flavor it was booted with; null where there are none.",
            since="2.3",
        ),
    ),
    # Through its load balancer.
    more_filters={"project_id": "project_id"},
)
