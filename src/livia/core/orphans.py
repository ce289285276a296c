"""What there is and what is known of it, compared: what nobody owns (design, section 6)."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from livia.core.drivers import Port
from livia.core.report import Held

#: names of the ports that controllers make (design, section 6)
_PORTS = "octavia-lb-"
#: what the device of a VIP's port begins with
_OF_LOAD_BALANCER = "lb-"
#: of what hosts hold, at most this share may be orphans, or this many: more are taken for a mistake of ours
SHARE = 0.1
LEAST = 10


class Orphan(Struct, frozen=True, kw_only=True):
    """Something that nobody owns.

    `kind`: `port`; `amphora`, which an agent runs; `remains`, which a host has of one that its agent does not know;
    `row`, of an amphora whose load balancer is gone. `place`: the host that has it, or nothing. `fence`: what removes
    this, and nothing newer.
    """

    kind: str
    name: str
    reason: str
    place: str = ""
    load_balancer_id: str | None = None
    fence: int = 0

    @property
    def key(self) -> tuple[str, str, str]:
        return self.kind, self.place, self.name


class Owners(Struct, frozen=True, kw_only=True):
    """Rows that are not DELETED: ids of load balancers, and of amphorae with the places where they are, if anywhere."""

    load_balancers: frozenset[str]
    amphorae: Mapping[str, str | None]


def of_ports(ports: Iterable[Port], owners: Owners) -> list[Orphan]:
    """Ports of ours whose load balancer or amphora is gone."""
    found = []
    for port in ports:
        load_balancer_id = port.device_id.removeprefix(_OF_LOAD_BALANCER)
        if load_balancer_id != port.device_id:
            if load_balancer_id not in owners.load_balancers:
                reason = f"Port {port.name or port.id} is of load balancer {load_balancer_id}, which is gone."
                found.append(_port(port, reason, load_balancer_id))
        elif port.name.startswith(_PORTS) and port.device_id not in owners.amphorae:
            found.append(_port(port, f"Port {port.name} is of amphora {port.device_id}, which is gone.", None))
    return found


def of_host(host: str, held: Iterable[Held], owners: Owners) -> list[Orphan]:
    """What an agent has of amphorae that are gone, or elsewhere."""
    found = []
    for each in held:
        known = each.amphora_id in owners.amphorae
        place = owners.amphorae.get(each.amphora_id)
        if known and place in (None, host):
            # One that is being placed may be put here in a moment.
            continue
        why = f"which is on {place}" if known else "which is gone"
        what = "runs" if each.known else f"has {' and '.join(each.remains)} of"
        found.append(
            Orphan(
                kind="amphora" if each.known else "remains",
                name=each.amphora_id,
                reason=f"Host {host} {what} amphora {each.amphora_id}, {why}.",
                place=host,
                load_balancer_id=each.load_balancer_id,
                fence=each.fence,
            )
        )
    return found


def too_many(orphans: int, held: int) -> str | None:
    """Why amphorae that nobody owns are rather left alone: a database that was restored knows few of them."""
    if orphans <= max(LEAST, int(held * SHARE)):
        return None
    return (
        f"{orphans} of {held} amphorae on hosts are in no row: that looks like a wrong or restored database, "
        "and none is removed."
    )


def _port(port: Port, reason: str, load_balancer_id: str | None) -> Orphan:
    return Orphan(kind="port", name=port.id, reason=reason, load_balancer_id=load_balancer_id)
