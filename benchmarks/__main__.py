"""`make bench`: measure, print a table, write `.bench/results.jsonl`."""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import (
    api,
    controller,
    crowd,
    data_plane,
    datagrams,
    footprint,
    forwarding,
    heartbeats,
    member_change,
    peer_heartbeats,
)
from benchmarks.figures import Figure, save, show
from benchmarks.scene import scene

#: groups of figures, by the name that --only takes
_GROUPS = ("standby", "single", "forwarding", "datagrams", "crowd", "change", "controller", "heartbeats", "api")
#: measured only when asked for: it installs the incumbent
_PEER = "peer"


def main() -> int:
    """Measure what was asked for; 0 when every target was met."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--only", choices=(*_GROUPS, _PEER), action="append", help="default: all")
    options = parser.parse_args()
    # Where nobody looks at a terminal the tables have the room they need.
    console = Console(width=None if sys.stdout.isatty() else 150)
    figures, before = [], _pace()
    for figure in _measure(console, options.only or _GROUPS):
        console.print(f"{figure.name}: {figure.value:g} {figure.unit}", highlight=False)
        figures.append(figure)
    pace = (before, _pace())
    save(figures, {**_machine(), "pace": pace})
    show(figures, console)
    console.print(f"Pace of this machine: {pace[0]:.1f} ms CPU for a million additions before, {pace[1]:.1f} after.")
    return 0 if all(figure.met for figure in figures) else 1


def _measure(console: Console, groups: tuple[str, ...]) -> Iterator[Figure]:
    if "standby" in groups:
        with scene("ACTIVE_STANDBY") as standby:
            yield from footprint.at_rest(standby)
            yield from data_plane.creation(standby, "ACTIVE_STANDBY", most=0.7)
            yield from data_plane.members(standby)
            yield from data_plane.silence(standby)
            yield from data_plane.planned(standby)
    if "single" in groups:
        with scene("SINGLE") as single:
            yield from data_plane.creation(single, "SINGLE", most=0.3)
            yield from footprint.requests(single)
    if "forwarding" in groups:
        with scene("SINGLE") as single:
            yield from forwarding.beside_by_hand(single)
    if "datagrams" in groups:
        with scene("SINGLE") as single:
            yield from datagrams.beside_direct(single)
    if "crowd" in groups:
        with scene("SINGLE") as single:
            yield from crowd.many(single)
    if "controller" in groups:
        yield from controller.alone()
    if "heartbeats" in groups:
        yield from heartbeats.sustained()
    if "api" in groups:
        yield from api.alone()
    if "change" in groups:
        yield from member_change.agent()
        with scene("SINGLE") as changed:
            yield from member_change.whole(changed)
    if _PEER in groups:
        yield from api.beside_peer(console)
        yield from peer_heartbeats.beside_peer(console)


def _pace() -> float:
    """Milliseconds of CPU for a million additions, the median of nine: processors that are shared with other machines
    are now fast, now slow, and figures of two runs compare only where this is alike."""
    return round(statistics.median(_added() for _ in range(9)), 1)


def _added() -> float:
    begin, total = time.process_time(), 0
    for number in range(1_000_000):
        total += number
    return 1000 * (time.process_time() - begin)


def _machine() -> dict[str, Any]:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": models[0].partition(":")[2].strip() if models else platform.processor(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    sys.exit(main())
