"""What a request costs the API's process: by itself, and beside the incumbent on the same MariaDB."""

import shutil
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from benchmarks import mariadb
from benchmarks.figures import Figure, median
from benchmarks.operations import SMALL, TABLE, Operation, World
from benchmarks.services import install, ours, peer
from benchmarks.subject import Spent, Subject

#: what the incumbent needs (ms of CPU, one process, a quiet machine): our targets when it is not beside us
_REFERENCE = {"get_one": 9.4, "list_100": 75.0, "list_1000": 460.0, "status_tree": 70.0, "post_listener": 32.0}
#: requests before an operation's first round: connections are made, caches filled, statements compiled
_WARM_UP = 5


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
    """Our own service: CPU of every operation, and what a list costs in a small and a large table."""
    with ExitStack() as stack:
        server = stack.enter_context(mariadb.server())
        database = stack.enter_context(mariadb.database(server, "livia_bench"))
        subject = stack.enter_context(ours(database, stack.enter_context(_directory())))
        world = World(subject)
        small = _rounds(subject, world.list_small(), rounds)
        world.fill()
        found = [(each, _rounds(subject, each, rounds)) for each in world.operations()]
    for operation, spent in found:
        reference = _REFERENCE.get(operation.name)
        most = None if reference is None else round(reference / operation.least, 2)
        rate = round(statistics.median(each.rate for each in spent))
        database_cpu = round(statistics.median(each.database for each in spent), 3)
        cpu = [each.cpu for each in spent]
        name = f"api_{operation.name}"
        yield median(name, cpu, "ms CPU", most=most, **{"requests/s": rate, "database ms CPU": database_cpu})
        if operation.name == world.list_small().name:
            growth = statistics.median(cpu) / statistics.median(each.cpu for each in small)
            detail = {"of": f"a list of {SMALL}, in a table of {TABLE:,} against one of {SMALL}"}
            yield Figure(
                name="api_list_growth", value=round(growth, 2), unit="times", n=rounds, detail=detail, most=1.2
            )


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
        services: list[tuple[Subject, list[Operation]]] = []
        for name, start in (("livia_bench", ours), ("livia_bench_peer", peer)):
            database = stack.enter_context(mariadb.database(server, name))
            subject = stack.enter_context(start(database, stack.enter_context(_directory())))
            console.print(f"Filling the database of {subject.name} ...", highlight=False)
            world = World(subject)
            world.fill()
            services.append((subject, world.operations()))
        (we, our), (they, their) = services
        for operation, counterpart in zip(our, their, strict=True):
            console.print(f"{operation.title} ...", highlight=False)
            _warm(we, operation)
            _warm(they, counterpart)
            pairs = [(_round(we, operation), _round(they, counterpart)) for _ in range(rounds)]
            yield Comparison(operation, [each for each, _theirs in pairs], [each for _ours, each in pairs])


def _rounds(subject: Subject, operation: Operation, rounds: int) -> list[Spent]:
    _warm(subject, operation)
    return [_round(subject, operation) for _ in range(rounds)]


def _warm(subject: Subject, operation: Operation) -> None:
    subject.measure(operation.requests(_WARM_UP))


def _round(subject: Subject, operation: Operation) -> Spent:
    return subject.measure(operation.requests(operation.count))


def _pair(each: Comparison, name: str, digits: int) -> tuple[str, str]:
    """The median of both, as text."""
    ours, theirs = (statistics.median(getattr(spent, name) for spent in side) for side in (each.ours, each.theirs))
    return f"{ours:.{digits}f}", f"{theirs:.{digits}f}"


@contextmanager
def _directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="lv-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)
