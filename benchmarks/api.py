"""What a request costs the API's process: by itself, and beside the incumbent on the same MariaDB."""

import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table
from sqlalchemy import URL

from benchmarks import mariadb
from benchmarks.figures import Figure, median
from benchmarks.operations import SMALL, TABLE, Operation, World
from benchmarks.services import install, ours, peer
from benchmarks.subject import Spent, Subject

#: starts a service on a database, in a directory of its own
Start: TypeAlias = Callable[[URL, Path], AbstractContextManager[Subject]]

#: what the incumbent needs (ms of CPU, one process, a quiet machine): our targets when it is not beside us
_REFERENCE = {"get_one": 9.4, "list_100": 75.0, "list_1000": 460.0, "status_tree": 70.0, "post_listener": 32.0}
#: requests before an operation's first round: connections are made, caches filled, statements compiled
_WARM_UP = 8


class Comparison(Struct, frozen=True):
    """What both services spent on one operation, a round each."""

    operation: Operation
    ours: Sequence[Spent]
    theirs: Sequence[Spent]

    @property
    def ratios(self) -> list[float]:
        """How many times less CPU ours took, a round each."""
        return [theirs.cpu / ours.cpu for ours, theirs in zip(self.ours, self.theirs, strict=True)]


def alone(*, rounds: int = 5) -> Iterator[Figure]:
    """Our own service: CPU of every operation, and what a list costs in a large table against a small one."""
    with ExitStack() as stack:
        server = stack.enter_context(mariadb.server())
        small, large = (_world(stack, server, ours, name) for name in ("livia_bench_small", "livia_bench"))
        large.fill()
        found = [(each, _rounds(large, each, rounds)) for each in large.operations()]
        for world in (small, large):
            _warm(world, world.list_small())
        pairs = [(_round(small, small.list_small()), _round(large, large.list_small())) for _ in range(rounds)]
    for operation, spent in found:
        reference = _REFERENCE.get(operation.name)
        most = None if reference is None else round(reference / operation.least, 2)
        rate = round(statistics.median(each.rate for each in spent))
        database_cpu = round(statistics.median(each.database for each in spent), 3)
        more = {"requests/s": rate, "database ms CPU": database_cpu}
        yield median(f"api_{operation.name}", [each.cpu for each in spent], "ms CPU", most=most, **more)
    growth = [(after.cpu + after.database) / (before.cpu + before.database) for before, after in pairs]
    of = f"API and database, a list of {SMALL} in a table of {TABLE:,} against one of {SMALL}"
    yield median("api_list_growth", growth, "times the CPU", most=1.5, of=of)


def beside_peer(console: Console, *, rounds: int = 5) -> Iterator[Figure]:
    """Both services in turn, round by round; prints the table, yields the ratio of each operation."""
    version = install(console)
    table = Table(
        "Operation", "ms CPU", "peer", "times less", "target", "requests/s", "peer", "database ms CPU", "peer"
    )
    for each in _compare(console, rounds):
        ratio = median(f"peer_ratio_{each.operation.name}", each.ratios, "times less CPU", least=each.operation.least)
        row = [f"{ratio.value:.1f}", f"≥ {each.operation.least:g}"]
        table.add_row(
            each.operation.title, *_pair(each, "cpu", 2), *row, *_pair(each, "rate", 0), *_pair(each, "database", 2)
        )
        cpu = dict(zip(("ours ms", "peer ms"), _pair(each, "cpu", 3), strict=True))
        rate = dict(zip(("ours requests/s", "peer requests/s"), _pair(each, "rate", 1), strict=True))
        yield replace(ratio, detail={**ratio.detail, **cpu, **rate, "peer": version})
    console.print(table)


def _compare(console: Console, rounds: int) -> Iterator[Comparison]:
    with ExitStack() as stack:
        server = stack.enter_context(mariadb.server())
        both = [_world(stack, server, start, name) for start, name in ((ours, "livia_bench"), (peer, "peer_bench"))]
        for world in both:
            console.print(f"Filling the database of {world.subject.name} ...", highlight=False)
            world.fill()
        we, they = both
        for operation, counterpart in zip(we.operations(), they.operations(), strict=True):
            console.print(f"{operation.title} ...", highlight=False)
            _warm(we, operation)
            _warm(they, counterpart)
            pairs = [(_round(we, operation), _round(they, counterpart)) for _ in range(rounds)]
            yield Comparison(operation, [each for each, _theirs in pairs], [each for _ours, each in pairs])


def _world(stack: ExitStack, server: URL, start: Start, database: str) -> World:
    """A service on a database of this name, with the first rows in it."""
    url = stack.enter_context(mariadb.database(server, database))
    return World(stack.enter_context(start(url, stack.enter_context(directory()))))


def _rounds(world: World, operation: Operation, rounds: int) -> list[Spent]:
    _warm(world, operation)
    return [_round(world, operation) for _ in range(rounds)]


def _warm(world: World, operation: Operation) -> None:
    world.subject.measure(operation.requests(_WARM_UP))


def _round(world: World, operation: Operation) -> Spent:
    return world.subject.measure(operation.requests(operation.count))


def _pair(each: Comparison, name: str, digits: int) -> tuple[str, str]:
    """The median of both, as text."""
    ours, theirs = (statistics.median(getattr(spent, name) for spent in side) for side in (each.ours, each.theirs))
    return f"{ours:.{digits}f}", f"{theirs:.{digits}f}"


@contextmanager
def directory() -> Iterator[Path]:
    """Of its own, gone at the end."""
    path = Path(tempfile.mkdtemp(prefix="lv-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)
