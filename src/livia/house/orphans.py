"""What nobody owns is listed, and removed when a later look sees it again (`livia orphans`).

Things are read first and rows afterwards: what is made in between has its row by then. Nothing is removed that was not
seen as an orphan by two looks at least a grace apart, that a worker is at, or of which there are suspiciously many.
"""

import structlog
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import Connection
from structlog.contextvars import bound_contextvars

from livia.core.clock import Clock
from livia.core.drivers import (
    AgentInventory,
    AmphoraDriver,
    DriverError,
    NetworkCatalogue,
    NetworkDriver,
    Placement,
    Port,
)
from livia.core.model.event import Event, Severity
from livia.core.orphans import Orphan, Owners, of_host, of_ports, too_many
from livia.core.report import Held
from livia.house.runner import Outcome, Turn
from livia.house.shown import Shown
from livia.services.context import new_request_id
from livia.store import events, hosts, orphans, work
from livia.store.engine import Database

log = structlog.get_logger()


class Orphans:
    """A Job. `grace`: seconds that lie between the look that first saw an orphan and its removal."""

    name = "orphans"

    def __init__(
        self,
        database: Database,
        clock: Clock,
        network: NetworkDriver,
        agents: AmphoraDriver,
        registry: CollectorRegistry,
        *,
        interval: float,
        grace: float,
    ) -> None:
        self.interval = interval
        self._database = database
        self._clock = clock
        self._network = network
        self._agents = agents
        self._grace = grace
        self._found = Shown("livia_orphans", "Things that nobody owns.", ["kind"], registry)
        self._removed = Counter("livia_orphans_removed_total", "Of these removed.", ["kind"], registry=registry)

    def run(self, turn: Turn) -> Outcome:
        """Look, list, and remove what was seen before."""
        found, unseen, held_back = self._look(turn)
        turn.step()
        listed = self._list(found, unseen)
        self._measure(found)
        gone = 0
        for orphan, known_for in listed:
            if known_for >= self._grace and orphan.key in found and not (held_back and orphan.place):
                turn.step()
                gone += self._remove(found[orphan.key])
        if held_back:
            log.error("orphans are left alone", reason=held_back)
        reason = f"{len(found)} things are nobody's, {gone} were removed" if found else "everything has an owner"
        return Outcome(done=gone, reason=held_back or reason)

    def hide(self) -> None:
        """Another process looks for them."""
        self._found.hide()

    def _look(self, turn: Turn) -> tuple[dict[tuple[str, str, str], Orphan], frozenset[str], str | None]:
        """What nobody owns, the hosts that could not be looked at, and why nothing on hosts may be removed."""
        ports: tuple[Port, ...] = self._network.ports() if isinstance(self._network, NetworkCatalogue) else ()
        inventories: dict[str, tuple[Held, ...]] = {}
        unseen: set[str] = set()
        for placement in self._placements():
            turn.step()
            held = self._inventory(placement)
            if held is None:
                unseen.add(placement.compute_id)
            else:
                inventories[placement.compute_id] = held
        with self._database.read() as connection:
            owners: Owners = orphans.owners(connection)
            rows = orphans.rows(connection)
        found = [*of_ports(ports, owners), *rows]
        on_hosts = [orphan for host, held in inventories.items() for orphan in of_host(host, held, owners)]
        held_back = too_many(
            sum(each.kind == "amphora" for each in on_hosts),
            sum(each.known for held in inventories.values() for each in held),
        )
        return {each.key: each for each in (*found, *on_hosts)}, frozenset(unseen), held_back

    def _placements(self) -> list[Placement]:
        with self._database.read() as connection:
            known = hosts.every(connection)
        return [Placement.on(each) for each, _age in known]

    def _inventory(self, placement: Placement) -> tuple[Held, ...] | None:
        if not isinstance(self._agents, AgentInventory):
            return None
        try:
            return self._agents.inventory(placement)
        except DriverError as error:
            # What was seen there before stays listed, and is not removed: nobody saw it again.
            log.warning("a host was not looked at for orphans", host=placement.compute_id, reason=error.message)
            return None

    def _list(self, found: dict[tuple[str, str, str], Orphan], unseen: frozenset[str]) -> list[tuple[Orphan, float]]:
        """Bring the list up to date; what is on it, with the seconds that it is known. Of a host that was forgotten
        nothing stays on it: nobody will look there again."""
        with self._database.read() as connection:
            before = {orphan.key: orphan for orphan, _known_for in orphans.seen(connection)}
        for key, orphan in found.items():
            if key not in before:
                log.warning("nobody's", kind=orphan.kind, name=orphan.name, host=orphan.place, reason=orphan.reason)
        owned = [key for key, orphan in before.items() if key not in found and orphan.place not in unseen]

        def write(connection: Connection) -> list[tuple[Orphan, float]]:
            orphans.see(connection, found.values())
            orphans.forget(connection, owned)
            return orphans.seen(connection)

        return self._database.transaction(write)

    def _remove(self, orphan: Orphan) -> bool:
        """Remove one, unless somebody is at it now."""
        keys = [key for key in (orphan.load_balancer_id, orphan.name) if key]
        with self._database.read() as connection:
            busy, owned = orphans.under_change(connection, keys), _owned(orphan, orphans.owners(connection))
        if busy or owned:
            return False
        request_id = new_request_id()
        try:
            self._take_away(orphan, request_id)
        except DriverError as error:
            log.warning("an orphan was not removed", kind=orphan.kind, name=orphan.name, reason=error.message)
            return False
        self._database.transaction(lambda connection: self._strike_off(connection, orphan, request_id))
        self._removed.labels(orphan.kind).inc()
        told = {"kind": orphan.kind, "name": orphan.name, "reason": orphan.reason}
        log.warning("an orphan was removed", **told, request_id=request_id)
        return True

    def _take_away(self, orphan: Orphan, request_id: str) -> None:
        if orphan.kind == "port":
            self._free_port(orphan)
        elif orphan.kind == "row":
            self._database.transaction(lambda connection: _hand_over(connection, orphan, request_id))
        else:
            with self._database.read() as connection:
                host = hosts.one(connection, orphan.place)
            if host is not None:
                # By the fence that was seen: what a worker made of it since is newer, and the agent refuses.
                with bound_contextvars(request_id=request_id):
                    self._agents.remove(Placement.on(host), orphan.name, orphan.fence)

    def _free_port(self, orphan: Orphan) -> None:
        port = self._network.port(orphan.name)
        if port is None:
            return
        if port.name.startswith("octavia-lb-") or orphan.load_balancer_id is None:
            self._network.delete_port(port.id)
        else:
            # A user brought it, and has it back.
            self._network.release_vip_port(port.id, orphan.load_balancer_id)

    def _strike_off(self, connection: Connection, orphan: Orphan, request_id: str) -> None:
        orphans.forget(connection, [orphan.key])
        if orphan.load_balancer_id is None:
            return
        entry = Event(
            load_balancer_id=orphan.load_balancer_id,
            object_type=orphan.kind,
            object_id=orphan.name[:36],
            severity=Severity.WARNING,
            code="orphan.removed",
            message=f"{orphan.reason} It was removed.",
            request_id=request_id,
        )
        events.add(connection, entry, self._clock.now())

    def _measure(self, found: dict[tuple[str, str, str], Orphan]) -> None:
        kinds = ("port", "amphora", "remains", "row")
        self._found.show({(kind,): sum(each.kind == kind for each in found.values()) for kind in kinds})


def _owned(orphan: Orphan, owners: Owners) -> bool:
    """Whether what was an orphan a moment ago has an owner now."""
    if orphan.kind == "port":
        return orphan.load_balancer_id in owners.load_balancers
    return orphan.place != "" and owners.amphorae.get(orphan.name, "") in (None, orphan.place)


def _hand_over(connection: Connection, orphan: Orphan, request_id: str) -> None:
    """Let the worker remove an amphora whose load balancer is gone, with all that belongs to it."""
    if orphans.release(connection, orphan.name):
        work.request(
            connection,
            orphan.name,
            project_id=None,
            priority=work.Priority.PERIODIC,
            reason=orphan.reason,
            request_id=request_id,
        )
