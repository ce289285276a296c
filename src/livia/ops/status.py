"""`livia status`: services, hosts, load balancers and amphorae at a glance."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text
from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, func, not_, select

from livia.agent.names import Names
from livia.agent.plumbing import kernel
from livia.core.model.status import AmphoraStatus, Provisioning
from livia.ops.hosts import columns, silence
from livia.ops.services import SERVICES, Installation
from livia.ops.state import State
from livia.ops.supervisor import COMMAND_PREFIX
from livia.ops.tables import listing
from livia.services import hosts
from livia.store import standing
from livia.store import tables as t
from livia.store.standing import Standing

_GOOD = {"ACTIVE", "ONLINE", "ALLOCATED", "NO_MONITOR"}
_BAD = {"ERROR", "DEGRADED"}
#: load balancers, and amphorae, of which all are shown: who has more looks for those that something is the matter with
_MANY = 100


def show(installation: Installation, console: Console, *, everything: bool = False) -> bool:
    """Print the state of the installation; whether its services run, where they are a `livia up`'s. `everything`: also,
    of many, what calls for no look."""
    running = _show_services(installation, console) if installation.state.exists() else True
    _show_hosts(installation, console)
    with installation.database().read() as connection:
        show_load_balancers(connection, console, everything=everything)
        now, quiet = installation.clock.now(), silence(installation)
        _show_amphorae(connection, console, now, now - timedelta(seconds=quiet), everything=everything)
        if running:
            _tell_of_silent(installation, connection, console, now - timedelta(seconds=quiet), quiet)
    return running


def _show_services(installation: Installation, console: Console) -> bool:
    state = installation.state
    if state.locked():
        parent = state.supervisor()
        if parent is not None:
            return _show_running(state, parent, console)
        console.print(f"A livia up is starting on {state.directory}.")
        return False
    if kernel.named(f"{Names(state.agent_directory).prefix}-"):
        console.print(f"No livia up runs on {state.directory}; load balancers go on without it.")
    else:
        console.print(f"No livia up runs on {state.directory}, and nothing of it serves: 'livia up' brings it back.")
    return False


def _show_running(state: State, parent: int, console: Console) -> bool:
    """Print the supervisor's services; whether all are there that every `livia up` has."""
    table = listing("Service", "Process", "Memory (PSS)", title="Services")
    table.add_row("supervisor", str(parent), _pss(parent))
    running = {_service_name(pid): pid for pid in sorted(children(parent))}
    for name, pid in running.items():
        table.add_row(name, str(pid), _pss_of_family(pid))
    missing = [name for name in SERVICES if name not in running]
    for name in missing:
        table.add_row(name, Text(f"none: see {state.log_directory / name}.log", "red"), "-")
    console.print(table)
    return not missing


def _service_name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip().removeprefix(COMMAND_PREFIX)
    except OSError:
        return "?"


def children(pid: int) -> list[int]:
    """Process ids of the children of a process."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def proportional_memory(pid: int) -> int:
    """Memory of a process in kB: what it has alone, and its share of what it shares (proc(5), smaps_rollup)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _pss(pid: int) -> str:
    return f"{proportional_memory(pid) / 1024:.1f} MB"


def _pss_of_family(pid: int) -> str:
    """A service with the processes it forked, such as Granian's."""
    total = sum(map(proportional_memory, (pid, *children(pid))))
    return f"{total / 1024:.1f} MB"


def _show_hosts(installation: Installation, console: Console) -> None:
    table = listing("Host", "Agent", "Zone", "Amphorae", "State", "Last heard", title="Amphora hosts")
    for each in hosts.view(installation.database(), silence(installation)):
        table.add_row(*columns(each))
    console.print(table)


_COLUMNS = (
    "Load balancer",
    "Name",
    "VIP",
    "Provisioning",
    "Operating",
    "Generation",
    "Pending",
    "Next try",
    "Waits for",
)


def show_load_balancers(connection: Connection, console: Console, *, everything: bool = False) -> None:
    """Print every load balancer; of those with work left, what, why, and when it is tried next. Of many only those that
    call for a look, unless `everything`."""
    top = t.load_balancer.c
    calm = and_(
        top.provisioning_status == Provisioning.ACTIVE,
        top.operating_status.not_in(_BAD),
        ~select(t.work.c.key).where(t.work.c.key == top.id).exists(),
    )
    query = (
        select(t.load_balancer, t.vip.c.ip_address)
        .join_from(t.load_balancer, t.vip, t.vip.c.load_balancer_id == top.id)
        .where(top.provisioning_status != Provisioning.DELETED)
        .order_by(top.created_at, top.id)
    )
    query, left_out = _of_many(connection, query, calm, everything=everything)
    table = listing(*_COLUMNS, title="Load balancers")
    rows = connection.execute(query).mappings().all()
    unfinished = standing.of(connection, [row["id"] for row in rows])
    parts = standing.pending(connection, list(unfinished))
    for row in rows:
        work = unfinished.get(row["id"])
        table.add_row(
            row["id"],
            row["name"] or "",
            row["ip_address"],
            _coloured(row["provisioning_status"]),
            _coloured(row["operating_status"]),
            f"{row['confirmed_generation']} of {row['generation']}",
            "-" if work is None else _pending(work, parts.get(work.key)),
            "-" if work is None else _next_try(work),
            "-" if work is None else _waits_for(work),
        )
    console.print(table)
    if left_out is not None:
        console.print(left_out)


def _of_many(
    connection: Connection, query: Select[Any], calm: ColumnElement[bool], *, everything: bool
) -> tuple[Select[Any], str | None]:
    """The rows of a table to show, and a sentence about those that are not."""

    def count(rows: Select[Any]) -> int:
        number: int = connection.execute(select(func.count()).select_from(rows.order_by(None).subquery())).scalar_one()
        return number

    total = 0 if everything else count(query)
    if total <= _MANY:
        return query, None
    restless = query.where(~calm)
    loud = count(restless)
    more = f"; so are {loud - _MANY} more that call for it" if loud > _MANY else ""
    return restless.limit(_MANY), f"{total - loud} that call for no look are left out{more}: --all shows every one."


def _pending(work: Standing, parts: str | None) -> str:
    """What is not as it should be, and since when; of what rests only remain to be done for, nothing is pending."""
    if work.age is None:
        return parts or "-"
    return f"{parts or 'itself'}, for {work.age:.0f} s"


def _next_try(work: Standing) -> str:
    if work.worker is not None:
        return f"now, by {work.worker}"
    number = "" if work.attempts == 0 else f" (number {work.attempts + 1})"
    return f"in {work.due_in:.0f} s{number}" if work.due_in > 0 else f"due{number}"


def _waits_for(work: Standing) -> str:
    if work.reason:
        return work.reason
    return "a worker" if work.worker is None else "the end of its first try"


def _show_amphorae(
    connection: Connection, console: Console, now: datetime, since: datetime, *, everything: bool
) -> None:
    """`since`: whoever was not heard from then on calls for a look."""
    calm = and_(t.amphora.c.status.in_((AmphoraStatus.ALLOCATED, AmphoraStatus.READY)), not_(_silent(since)))
    query = (
        select(t.amphora, t.amphora_health.c.last_update)
        .join_from(t.amphora, t.amphora_health, t.amphora_health.c.amphora_id == t.amphora.c.id, isouter=True)
        .where(t.amphora.c.status != AmphoraStatus.DELETED)
        .order_by(t.amphora.c.load_balancer_id, t.amphora.c.role.desc())
    )
    query, left_out = _of_many(connection, query, calm, everything=everything)
    table = listing(
        "Amphora",
        "Load balancer",
        "Role",
        "Status",
        "VIP",
        "Host",
        "Address",
        "Heartbeat",
        title="Amphorae",
    )
    for row in connection.execute(query).mappings():
        table.add_row(
            row["id"],
            row["load_balancer_id"] or "-",
            row["role"] or "-",
            _coloured(row["status"]),
            "here" if row["holds_vip"] else "-",
            row["compute_id"] or "-",
            row["vrrp_ip"] or "-",
            _age(row, now),
        )
    console.print(table)
    if left_out is not None:
        console.print(left_out)


def _silent(since: datetime) -> ColumnElement[bool]:
    heard = func.coalesce(t.amphora_health.c.last_update, since)
    return and_(t.amphora.c.status == AmphoraStatus.ALLOCATED, heard < since)


def _tell_of_silent(
    installation: Installation, connection: Connection, console: Console, since: datetime, quiet: float
) -> None:
    """Where what is done about silent amphorae is said, or why nothing is."""
    joined = t.amphora.join(t.amphora_health, t.amphora_health.c.amphora_id == t.amphora.c.id)
    count = connection.execute(select(func.count()).select_from(joined).where(_silent(since))).scalar_one()
    if not count:
        return
    state = installation.state
    log = state.log_directory / "health.log" if state.exists() else "the health manager's log"
    many = "1 amphora was" if count == 1 else f"{count} amphorae were"
    console.print(f"{many} not heard for {quiet:.0f} s: {log} says what is done about that, or why nothing is.")


def _age(row: RowMapping, now: datetime) -> str:
    last = row["last_update"]
    return "-" if last is None else f"{max(0.0, (now - last).total_seconds()):.0f} s ago"


def _coloured(status: str) -> Text:
    if status in _GOOD:
        return Text(status, "green")
    return Text(status, "red" if status in _BAD else "yellow")
