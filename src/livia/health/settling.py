"""Settles what the rows of load balancers say with what their amphorae report."""

from collections.abc import Collection, Mapping

from msgspec.structs import replace
from sqlalchemy import Connection, Table

from livia.core.model.status import Operating, Provisioning
from livia.core.rules.operating_status import AmphoraPart, Observed, Statuses, deciding, derive
from livia.health.fleet import Fleet, Look, Report, differs
from livia.store import observed, reports
from livia.store import tables as t
from livia.store.engine import Database

#: members from which on it is remembered that their rows say what is reported: reading fewer is cheaper than a
#: statement of their own
_MANY = 100


def settle(database: Database, fleet: Fleet, amphora_ids: frozenset[str]) -> None:
    """Derive the statuses of the amphorae's load balancers and write those that differ from the rows."""
    with database.read() as connection:
        beside = observed.amphorae_beside(connection, amphora_ids)
        # Before the rows: a report that comes meanwhile is looked at next.
        known, untold = _heard(fleet, beside)
        decided = {key: _deciding([known[each] for each in ids if each in known]) for key, ids in beside.items()}
        settled = {
            key: report.settled for key, report in decided.items() if report is not None and report.settled is not None
        }
        trees = observed.load(connection, beside, settled)
    written = _Changed()
    again: dict[str, Look | None] = {}
    agreed: list[tuple[Report, int]] = []
    for tree in trees:
        own = {each: known[each] for each in tree.amphorae if each in known}
        concerned = own.keys() & amphora_ids
        for each in concerned:
            if own[each].heartbeat.holds_vip != tree.amphorae[each].holds_vip and not own[each].superseded:
                written.holders[each] = own[each].heartbeat.holds_vip
        report = decided[tree.id]
        if not tree.partial:
            fleet.unsettle(own)
        if report is None:
            continue
        written.note(tree, derive(tree, report.heartbeat))
        if tree.provisioning_status is not Provisioning.ACTIVE:
            # The rows will move on without the report changing: look once more.
            again |= dict.fromkeys(concerned)
        elif report.heartbeat.generation != tree.generation or report.heartbeat.id in untold:
            # So may these, or another amphora decide; and of a next change no heartbeat of some will tell.
            again |= dict.fromkeys(concerned, Look(report.heartbeat, tree.enabled, tree.generation))
        elif tree.enabled and (tree.partial or _members(tree) >= _MANY):
            agreed.append((report, tree.generation))
    if not written.empty:
        database.transaction(written.write)
    for report, generation in agreed:
        fleet.settle(report.heartbeat.id, report.heartbeat, generation)
    fleet.look_again(again)


def look_again(database: Database, fleet: Fleet, looks: Mapping[str, Look | None]) -> None:
    """Settle those whose rows or reports have moved on since the look; the others are to be looked at again.

    An agent that never tells a generation would have its load balancer read whole in each second otherwise.
    """
    with database.read() as connection:
        beside = observed.amphorae_beside(connection, looks)
        rows = observed.standing(connection, beside)
    known, _untold = _heard(fleet, beside)
    moved: set[str] = set()
    same: dict[str, Look | None] = {}
    for key, amphorae in beside.items():
        own = {each: known[each] for each in amphorae if each in known}
        report = _deciding(own.values())
        for each in amphorae.keys() & looks.keys():
            look = looks[each]
            if (
                look is not None
                and _stands(look, rows.get(key), report)
                and _is_told(own.get(each), amphorae[each].holds_vip)
            ):
                same[each] = look
            else:
                moved.add(each)
    fleet.look_again(same)
    if moved:
        settle(database, fleet, frozenset(moved))


def _heard(fleet: Fleet, beside: Mapping[str, Mapping[str, AmphoraPart]]) -> tuple[dict[str, Report], frozenset[str]]:
    """The last reports of these amphorae, and which of them tell no generation: theirs is the one that they stand
    for, so that they are followed, compared and chosen from as all others are."""
    applied = {key: row.applied_generation for amphorae in beside.values() for key, row in amphorae.items()}
    known = fleet.reports(applied)
    untold = frozenset(key for key, report in known.items() if not report.heartbeat.generation)
    for key in untold:
        report = known[key]
        generation = fleet.stands_for(key, report.at, applied[key])
        report.heartbeat = replace(report.heartbeat, generation=generation)
    return known, untold


def _stands(look: Look, row: tuple[bool, Provisioning, int] | None, report: Report | None) -> bool:
    """Whether statuses would follow from the same as at the look."""
    if report is None or row != (look.enabled, Provisioning.ACTIVE, look.generation):
        return False
    before, now = look.heartbeat, report.heartbeat
    return before.generation == now.generation and not differs(before, now)


def _is_told(report: Report | None, holds_vip: bool) -> bool:
    """Whether the amphora's row says what it says of the VIP itself, unless it is for another manager to write."""
    return report is not None and (report.superseded or report.heartbeat.holds_vip == holds_vip)


def _members(tree: Observed) -> int:
    return sum(len(pool.members) for pool in tree.pools)


def _deciding(known: Collection[Report]) -> Report | None:
    """The report that counts; None when another manager has a newer one: it is for that to write."""
    found = deciding(each.heartbeat for each in known)
    report = next((each for each in known if each.heartbeat is found), None)
    return None if report is None or report.superseded else report


class _Changed:
    """Statuses of many load balancers that differ from their rows: written together, by table."""

    def __init__(self) -> None:
        self.holders: dict[str, bool] = {}
        self._tables: list[tuple[Table, dict[str, Operating]]] = [
            (table, {}) for table in (t.load_balancer, t.listener, t.pool, t.member)
        ]

    @property
    def empty(self) -> bool:
        return not self.holders and not any(statuses for _table, statuses in self._tables)

    def note(self, tree: Observed, now: Statuses) -> None:
        """What of `now` is not in the rows."""
        before = (
            {tree.id: tree.operating_status},
            {each.id: each.operating_status for each in tree.listeners},
            {each.id: each.operating_status for each in tree.pools},
            {each.id: each.operating_status for pool in tree.pools for each in pool.members},
        )
        after = ({tree.id: now.load_balancer}, now.listeners, now.pools, now.members)
        for (_table, statuses), old, new in zip(self._tables, before, after, strict=True):
            statuses |= {key: status for key, status in new.items() if old.get(key) is not status}

    def write(self, connection: Connection) -> None:
        reports.set_vip_holders(connection, self.holders)
        for table, statuses in self._tables:
            reports.set_operating_status(connection, table, statuses)
