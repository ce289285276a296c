"""Which host an amphora goes to, and what the loss of one host would cost."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from msgspec import Struct

from livia.core.model.amphora import AmphoraHost

#: what each sentence of `choose` contains
NO_PLACE = "amphora host"


class Wanted(Struct, frozen=True, kw_only=True):
    """A place for one amphora: in `zone` (None: anywhere), apart from the hosts `beside` where the load balancer has
    another. `serving`: it is the one that shall hold the VIP. `shunned`: hosts on which somebody could not build one
    lately."""

    zone: str | None = None
    beside: frozenset[str] = frozenset()
    serving: bool = False
    shunned: frozenset[str] = frozenset()


def choose(hosts: tuple[AmphoraHost, ...], wanted: Wanted) -> AmphoraHost | str:
    """The best host; or a sentence why none.

    First of all one that is not shunned, then another host than the load balancer's other amphora has, then another
    zone, then the least loaded; among equals, one amphora that serves goes where the fewest do, so that no host has all
    of them.
    """
    if not hosts:
        return "No amphora host is alive: start one, or wait for its next heartbeat."
    of_zone = "" if wanted.zone is None else f" of availability zone {wanted.zone}"
    in_zone = [host for host in hosts if wanted.zone is None or host.availability_zone == wanted.zone]
    if not in_zone:
        return f"No amphora host{of_zone} is alive."
    taking = [host for host in in_zone if not host.draining]
    if not taking:
        return f"Every amphora host{of_zone} is being drained: undrain or add one (livia host undrain, add)."
    free = [host for host in taking if host.amphora_count < host.capacity]
    if not free:
        every = "The only amphora host" if len(taking) == 1 else f"Each of {len(taking)} amphora hosts"
        return f"{every}{of_zone} is full: raise its capacity ([livia] host_capacity), or add one (livia host add)."
    zones = {host.availability_zone for host in hosts if host.id in wanted.beside}

    def cost(host: AmphoraHost) -> tuple[bool, bool, bool, float, float, str]:
        load, serving = host.amphora_count / host.capacity, host.serving / host.capacity
        return (
            host.id in wanted.shunned,
            host.id in wanted.beside,
            host.availability_zone in zones,
            load,
            serving if wanted.serving else -serving,
            host.id,
        )

    return min(free, key=cost)


class Placed(Struct, frozen=True, kw_only=True):
    """An amphora that serves its load balancer from `host_id`. `serving`: it holds the VIP."""

    load_balancer_id: str
    host_id: str
    serving: bool


class Loss(Struct, frozen=True, kw_only=True):
    """What the loss of one host costs: `down` load balancers lose every amphora, `interrupted` the one that serves
    (those that are down among them), of `load_balancers` in all."""

    host_id: str
    load_balancers: int
    down: int
    interrupted: int

    @property
    def share(self) -> float:
        """Which part of all load balancers is interrupted, 0 to 1."""
        return self.interrupted / self.load_balancers if self.load_balancers else 0.0


def losses(placed: Iterable[Placed]) -> tuple[Loss, ...]:
    """What each host's loss would cost, the worst first."""
    homes: Mapping[str, list[Placed]] = defaultdict(list)
    for each in placed:
        homes[each.load_balancer_id].append(each)
    down: dict[str, int] = defaultdict(int)
    interrupted: dict[str, int] = defaultdict(int)
    for amphorae in homes.values():
        everywhere = {each.host_id for each in amphorae}
        for host_id in everywhere:
            down[host_id] += len(everywhere) == 1
            interrupted[host_id] += len(everywhere) == 1 or any(
                each.serving and each.host_id == host_id for each in amphorae
            )
    found = [
        Loss(host_id=each, load_balancers=len(homes), down=down[each], interrupted=interrupted[each]) for each in down
    ]
    return tuple(sorted(found, key=lambda loss: (-loss.down, -loss.interrupted, loss.host_id)))
