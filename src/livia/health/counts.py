"""What listeners counted, from a heartbeat to the columns of `listener_statistics`."""

from collections.abc import Iterable

from msgspec import Struct

from livia.core.report import Heartbeat, ListenerCounters


class Counts(Struct, frozen=True, kw_only=True):
    """Counters by (listener id, amphora id), and in each by column of `listener_statistics`.

    `totals` of agents that tell what they counted in all, `added` of those that only tell what was added, `stated` of
    those that tell what was counted since a restart. `more`: there are others, and these are those that wait longest.
    """

    totals: dict[tuple[str, str], dict[str, int]]
    added: dict[tuple[str, str], dict[str, int]]
    stated: dict[tuple[str, str], dict[str, int]]
    more: bool


def columns(stats: ListenerCounters) -> dict[str, int]:
    """Counters, by column."""
    return {
        "bytes_in": stats.rx,
        "bytes_out": stats.tx,
        "total_connections": stats.totconns,
        "request_errors": stats.ereq,
        "active_connections": stats.conns,
    }


def totals_of(heartbeat: Heartbeat) -> Iterable[tuple[tuple[str, str], dict[str, int]]]:
    """By (listener id, amphora id) what it tells of all that was counted, by column."""
    for listener_id, total in heartbeat.totals.items():
        report = heartbeat.listeners.get(listener_id)
        yield (
            (listener_id, heartbeat.id),
            {
                "bytes_in": total.rx,
                "bytes_out": total.tx,
                "total_connections": total.totconns,
                "request_errors": total.ereq,
                "active_connections": report.stats.conns if report is not None else 0,
            },
        )


def open_now(count: dict[str, int]) -> dict[str, int]:
    """Of these columns the one that does not only grow."""
    return {"active_connections": count["active_connections"]}


def add_up(counts: dict[tuple[str, str], dict[str, int]], key: tuple[str, str], more: dict[str, int]) -> None:
    """Add up; of open connections the last number stands."""
    before = counts.get(key)
    if before is None:
        counts[key] = more
    else:
        counts[key] = {name: before[name] + count for name, count in more.items()} | open_now(more)
