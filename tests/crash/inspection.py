"""What must be so once faults have stopped; each check tells what is not, in sentences."""

import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import Connection as Sql
from sqlalchemy import select

from livia.agent.host import Host
from livia.agent.names import Names
from livia.drivers.network.local import LocalNetworks
from livia.ops.demo import faults
from livia.store import tables as t
from livia.store.engine import Database
from tests.crash.client import Connection
from tests.crash.installation import Machine
from tests.crash.model import Balancer, World
from tests.crash.statuses import Statuses, operating
from tests.crash.traffic import Traffic

_CHILDREN = {
    "listener": t.listener,
    "pool": t.pool,
    "member": t.member,
    "healthmonitor": t.health_monitor,
    "l7policy": t.l7policy,
    "rule": t.l7rule,
}


class Inspector:
    """Looks at one machine. `ports`: where listeners of tenants can be."""

    def __init__(self, machine: Machine, world: World, api: Connection, ports: list[int]) -> None:
        self._machine = machine
        self._world = world
        self._api = api
        self.traffic = Traffic(world, machine.certificates, machine.authorities, ports)
        self._database: Database = machine.installation.database()
        self._networks = LocalNetworks(self._database, machine.installation.clock)

    def problems(self) -> tuple[list[str], float]:
        """Everything that is not as it must be, and when the last of it was seen, by the monotonic clock.

        A look takes many seconds where members take no connections.
        """
        found, seen = list(self._unsettled()), time.monotonic()
        if not found:
            for problem in chain(self._untold(), self._orphans(), self.traffic.problems()):
                found.append(problem)
                seen = time.monotonic()
        return found, seen

    def close(self) -> None:
        self._database.close()

    # -- statuses ------------------------------------------------------------------------------------------------

    def _unsettled(self) -> Iterator[str]:
        with self._database.read() as connection:
            query = select(t.work.c.key, t.work.c.attempts, t.work.c.reason)
            waiting = {row.key: f" after {row.attempts} tries: {row.reason}" for row in connection.execute(query)}
            for kind, table in {"load balancer": t.load_balancer, **_CHILDREN}.items():
                rows = connection.execute(select(table.c.id, table.c.provisioning_status))
                for key, status in rows:
                    if status not in ("ACTIVE", "DELETED"):
                        yield f"{kind} {key} is {status}{waiting.get(key, '')}"
            for key, status in connection.execute(select(t.amphora.c.id, t.amphora.c.status)):
                if status not in ("ALLOCATED", "DELETED"):
                    yield f"amphora {key} is {status}"

    def in_error(self) -> dict[str, str]:
        """Load balancers in ERROR, with what their last event of severity ERROR says ('' for none)."""
        with self._database.read() as connection:
            query = select(t.load_balancer.c.id).where(t.load_balancer.c.provisioning_status == "ERROR")
            return {key: _last_error(connection, key) for key in connection.execute(query).scalars()}

    # -- what the API shows --------------------------------------------------------------------------------------

    def _untold(self) -> Iterator[str]:
        shown = {each["id"]: each for each in self._api.all("/loadbalancers?limit=1000", "loadbalancers")}
        for key in shown.keys() - self._world.balancers.keys():
            yield f"load balancer {shown[key]['name']} {key} is there, and nobody has it"
        for key, balancer in self._world.balancers.items():
            if key not in shown:
                yield f"load balancer {key} was accepted, and is not there"
            else:
                yield from _differences(f"load balancer {key}", balancer.values, shown[key])
                found = {each["id"]: each for each in self._children(balancer)}
                yield from self._untold_of(balancer, found)
                yield from self._ill_told({key: shown[key], **found}, operating(balancer))

    def _ill_told(self, shown: dict[str, dict[str, Any]], wanted: dict[str, Statuses]) -> Iterator[str]:
        for key in shown.keys() & wanted.keys():
            self.traffic.compared["statuses"] += 1
            status = shown[key]["operating_status"]
            if status not in wanted[key]:
                yield f"{key} {shown[key].get('name', '')} is {status}, and is to be {' or '.join(wanted[key])}"

    def _untold_of(self, balancer: Balancer, found: dict[str, dict[str, Any]]) -> Iterator[str]:
        for key in found.keys() - balancer.things.keys():
            yield f"{found[key]} of load balancer {balancer.id} is there, and nobody has it"
        for key, thing in balancer.things.items():
            if key not in found:
                yield f"{thing.kind} {key} {thing.values} of load balancer {balancer.id} was accepted, and is not there"
            else:
                yield from _differences(f"{thing.kind} {key}", thing.values, found[key])

    def _children(self, balancer: Balancer) -> Iterator[dict[str, Any]]:
        of_it = f"?limit=1000&loadbalancer_id={balancer.id}"
        yield from self._api.all(f"/listeners{of_it}", "listeners")
        pools = self._api.all(f"/pools{of_it}", "pools")
        yield from pools
        for pool in pools:
            yield from self._api.all(f"/pools/{pool['id']}/members", "members")
        monitors = self._api.all("/healthmonitors?limit=1000", "healthmonitors")
        yield from (each for each in monitors if each["pools"][0]["id"] in {pool["id"] for pool in pools})
        for listener in balancer.of("listener"):
            for policy in self._api.all(f"/l7policies?listener_id={listener.id}", "l7policies"):
                yield policy
                yield from self._api.all(f"/l7policies/{policy['id']}/rules", "rules")

    # -- orphans -------------------------------------------------------------------------------------------------

    def _orphans(self) -> Iterator[str]:
        with self._database.read() as connection:
            query = select(t.amphora.c.id, t.amphora.c.load_balancer_id).where(t.amphora.c.status != "DELETED")
            amphorae = {row.id: row.load_balancer_id for row in connection.execute(query)}
            yield from self._rows(connection, amphorae)
        yield from self._kernel(set(amphorae))

    def _rows(self, connection: Sql, amphorae: dict[str, str | None]) -> Iterator[str]:
        live = set(self._world.balancers)
        for key, owner in amphorae.items():
            if owner not in live:
                yield f"amphora {key} is of load balancer {owner}, which is not there"
        for kind, table in _CHILDREN.items():
            for key, owner in connection.execute(select(table.c.id, table.c.load_balancer_id)):
                if owner not in live:
                    yield f"{kind} {key} is of load balancer {owner}, which is not there"
        for key, reason in connection.execute(select(t.work.c.key, t.work.c.reason)):
            yield f"work for {key} is left: {reason}"
        held = select(t.lease.c.key, t.lease.c.owner).where(t.lease.c.owner.is_not(None))
        for key, holder in connection.execute(held):
            if ":" not in key:
                yield f"the lease of {key} is held by {holder}"
        wanted = {f"octavia-lb-{key}" for key in live} | {f"octavia-lb-vrrp-{key}" for key in amphorae}
        yield from _both("port", wanted, {port.name for port in self._networks.ports()})

    def _kernel(self, amphorae: set[str]) -> Iterator[str]:
        config = self._machine.installation.agent_config()
        host = Host(config)
        names = Names(config.state_directory)
        wanted = {names.amphora(key) for key in amphorae} | {names.fabric}
        yield from _both("namespace", wanted, faults.namespaces(names.prefix))
        ports = {names.port(port.id) for port in self._networks.ports() if "vrrp" in port.name}
        links = {name for name in host.fabric.links() if name.startswith("p-")}
        yield from _both("link", ports, links)
        yield from _both("directory", amphorae, _names(host.amphorae_directory))
        yield from _surplus("directory in memory", amphorae, _names(host.memory()))
        for root in Path("/sys/fs/cgroup").glob(f"**/{names.prefix}"):
            groups = {path.name for path in root.iterdir() if path.is_dir()}
            yield from _surplus("control group", amphorae | {"supervision"}, groups)
        links_of_s6 = _names(config.state_directory / "s6" / "scan")
        yield from _surplus("service", amphorae, {name[:36] for name in links_of_s6 if not name.startswith(".")})
        yield from self._processes(config.state_directory, amphorae)

    def _processes(self, directory: Path, amphorae: set[str]) -> Iterator[str]:
        """Processes of amphorae that are not there, and services that no supervisor has."""
        ours = {pid for name in ("agent", "health", "worker", "api", "house") for pid in self._machine.pids(name)}
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                where = f"{entry.joinpath('cwd').readlink()} {command}"
                pid = int(entry.name)
                _, found, rest = where.partition(f"{directory}/amphorae/")
                if found and rest[:36] not in amphorae:
                    yield f"process {pid} works for an amphora that is not there: {command[:100]}"
                name = (entry / "comm").read_text().strip()
                watched = pid in ours or pid == self._machine.supervisor()
                if str(directory.parent) in command and name.startswith("livia-") and not watched:
                    yield f"process {pid} is a {name} that nobody watches over"


def _differences(what: str, wanted: dict[str, Any], shown: dict[str, Any]) -> Iterator[str]:
    for name, value in wanted.items():
        # Lists of texts are shown in alphabetical order.
        if shown.get(name) != (sorted(value) if isinstance(value, list) else value):
            yield f"{what}: {name} is {shown.get(name)!r}, and was accepted as {value!r}"


def _both(what: str, wanted: set[str], found: set[str]) -> Iterator[str]:
    yield from _surplus(what, wanted, found)
    for name in sorted(wanted - found):
        yield f"{what} {name} is missing"


def _surplus(what: str, wanted: set[str], found: set[str]) -> Iterator[str]:
    for name in sorted(found - wanted):
        yield f"{what} {name} is left, and belongs to nobody"


def _names(directory: Path) -> set[str]:
    try:
        return {path.name for path in directory.iterdir()}
    except FileNotFoundError:
        return set()


def _last_error(connection: Sql, key: str) -> str:
    query = (
        select(t.event.c.message)
        .where(t.event.c.load_balancer_id == key, t.event.c.severity == "ERROR")
        .order_by(t.event.c.id.desc())
        .limit(1)
    )
    return connection.execute(query).scalar_one_or_none() or ""
