"""What Livia's HAProxy configuration costs beside the least that a person would write by hand.

Requests per second with all that the machine has, and p99 at a rate far below: with nothing to spare, p99 tells whom
the kernel let wait, not what a proxy costs. All share the machine's cores, so only neighbours in time are compared:
the sides take turns for a second each, in every order, and a figure is the median of the rounds' ratios. A second
hand-written HAProxy is compared with the first like Livia's: how far these ratios are from 1 is what the method
cannot tell. All are started several times: two processes that do not differ can be 5 % apart for as long as they live.
"""

import itertools
import statistics
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from msgspec import Struct

from benchmarks.figures import Figure, median
from benchmarks.forwarding_load import Slice, p99, pace, saturate
from benchmarks.forwarding_sides import PORTS, Sides, sides
from benchmarks.scene import Scene

#: of what a hand-written HAProxy manages: the rate at which p99 is measured
_SHARE = 0.5
_LEAST = 0.97
#: each side has each place in a round equally often
_ORDERS = tuple(itertools.permutations(("ours", "by_hand", "control")))


class Turn(Struct, frozen=True):
    """One slice, and the seconds of CPU that the side's HAProxy used in it."""

    slice: Slice
    cpu: float

    @property
    def cost(self) -> float:
        """Seconds of HAProxy's CPU for each request."""
        return self.cpu / self.slice.requests


class Round(Struct, frozen=True):
    """A turn of each side."""

    ours: Turn
    by_hand: Turn
    control: Turn

    @property
    def answered(self) -> bool:
        """Whether every side answered anybody."""
        return all(turn.slice.latencies for turn in (self.ours, self.by_hand, self.control))


def beside_by_hand(scene: Scene, *, starts: int = 5, saturated: int = 4, paced: int = 8) -> Iterator[Figure]:
    """Requests per second, p99 and CPU through Livia's listeners, as ratios to a hand-written file: HTTP, TCP, TLS.

    `saturated` and `paced`: rounds for each protocol, of three seconds each, after each of the `starts` of all sides.
    """
    fast: dict[str, list[Round]] = {protocol: [] for protocol in PORTS}
    slow: dict[str, list[Round]] = {protocol: [] for protocol in PORTS}
    for _ in range(starts):
        with sides(scene) as contest:
            for protocol in PORTS:
                # Warms up all.
                _round(contest, protocol, 0, saturate)
                fast[protocol] += [_round(contest, protocol, number, saturate) for number in range(saturated)]
                rate = statistics.median(each.by_hand.slice.rate for each in fast[protocol])
                load = partial(pace, rate=rate * _SHARE)
                slow[protocol] += [_round(contest, protocol, number, load) for number in range(paced)]
    for protocol in PORTS:
        yield from _rates(protocol, fast[protocol])
        # Where the machine itself stood still for a second there is nothing to compare.
        told = [each for each in slow[protocol] if each.answered]
        yield from _tails(protocol, told, left_out=len(slow[protocol]) - len(told))
        yield from _costs(protocol, told)


def _round(contest: Sides, protocol: str, number: int, load: Callable[[str], Slice]) -> Round:
    turns = {}
    for name in _ORDERS[number % len(_ORDERS)]:
        side = getattr(contest, name)
        before = side.cpu_seconds()
        turns[name] = Turn(load(side.urls[protocol]), side.cpu_seconds() - before)
    return Round(**turns)


def _rates(protocol: str, rounds: Sequence[Round]) -> Iterator[Figure]:
    """Above 1: more than by hand."""
    absolute = round(statistics.median(each.ours.slice.rate for each in rounds))
    ours = [each.ours.slice.rate / each.by_hand.slice.rate for each in rounds]
    control = [each.control.slice.rate / each.by_hand.slice.rate for each in rounds]
    detail = {"requests/s": absolute, "failed": _failed(rounds)}
    yield _ratio(f"forwarding_rate_{protocol}", ours, least=_LEAST, **detail)
    yield _ratio(f"forwarding_control_rate_{protocol}", control)


def _tails(protocol: str, rounds: Sequence[Round], *, left_out: int) -> Iterator[Figure]:
    """Above 1: sooner than by hand. `of all`: the same ratio of the p99s of all rounds' requests."""
    ours = [each.ours.slice for each in rounds]
    by_hand = [each.by_hand.slice for each in rounds]
    control = [each.control.slice for each in rounds]
    detail = {
        "requests/s": round(statistics.median(each.rate for each in ours)),
        "by hand": round(statistics.median(each.rate for each in by_hand)),
        "ms": statistics.median(each.p99 for each in ours) / 1000,
        "failed": _failed(rounds),
        "rounds left out": left_out,
    }
    for name, least, against, more in (
        ("forwarding_p99", _LEAST, ours, detail),
        ("forwarding_control_p99", None, control, {}),
    ):
        ratios = [theirs.p99 / each.p99 for theirs, each in zip(by_hand, against, strict=True)]
        whole = round(p99(by_hand) / p99(against), 3)
        yield _ratio(f"{name}_{protocol}", ratios, least=least, **{"of all": whole}, **more)


def _costs(protocol: str, rounds: Sequence[Round]) -> Iterator[Figure]:
    """Above 1: less CPU for a request than by hand."""
    absolute = round(statistics.median(each.ours.cost for each in rounds) * 1e6, 1)
    ours = [each.by_hand.cost / each.ours.cost for each in rounds]
    control = [each.by_hand.cost / each.control.cost for each in rounds]
    yield _ratio(f"forwarding_cpu_{protocol}", ours, **{"µs a request": absolute})
    yield _ratio(f"forwarding_control_cpu_{protocol}", control)


def _failed(rounds: Sequence[Round]) -> int:
    return sum(each.ours.slice.failed for each in rounds)


def _ratio(name: str, ratios: Sequence[float], *, least: float | None = None, **detail: Any) -> Figure:
    low, _middle, high = statistics.quantiles(ratios, n=4)
    return median(name, ratios, "of by hand", least=least, quartiles=f"{low:.2f} to {high:.2f}", **detail)
