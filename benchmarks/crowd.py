"""A hundred load balancers on one machine, all with traffic."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, median
from benchmarks.footprint import amphora_sizes
from benchmarks.scene import Scene

_SECONDS = 10


def many(scene: Scene, *, count: int = 100) -> Iterator[Figure]:
    """Memory of an amphora under traffic, and what all of them answer together."""
    before = _available()
    created = [scene.api.post("/loadbalancers", {"loadbalancer": _wanted(scene, number)}) for number in range(count)]
    load_balancers = [each["loadbalancer"] for each in created]
    for each in load_balancers:
        scene.api.wait_active(each["id"], seconds=300)
    said = _traffic([each["vip_address"] for each in load_balancers])
    spent = (before - _available()) / count
    sizes = [size for each in load_balancers for size in amphora_sizes(scene, each)]
    served = [float(rate[1]) if (rate := re.search(r"Requests/sec:\s+([\d.]+)", text)) else 0.0 for text in said]
    failed = sum("Socket errors" in text or "Non-2xx" in text for text in said)
    yield median("amphora_memory_with_traffic", sizes, "MB PSS", most=12, load_balancers=count)
    detail = {"of": "what the machine has less, agent's and database's share included"}
    yield Figure(name="machine_memory_per_load_balancer", value=round(spent, 1), unit="MB", n=count, detail=detail)
    yield Figure(
        name="load_balancers_with_failed_requests",
        value=failed + served.count(0.0),
        unit=f"of {count}",
        n=count,
        detail={"requests/s of all": round(sum(served)), "least of one": round(min(served), 1), "seconds": _SECONDS},
        most=0,
    )
    for each in load_balancers:
        scene.api.delete(f"/loadbalancers/{each['id']}?cascade=true")
    for each in load_balancers:
        scene.api.wait_gone(each["id"], seconds=300)


def _wanted(scene: Scene, number: int) -> dict[str, Any]:
    wanted = scene.wanted(f"bench-crowd-{number}")
    # Members answer the checks of all: one each five seconds and load balancer.
    wanted["listeners"][0]["default_pool"]["healthmonitor"]["delay"] = 5
    return wanted


def _traffic(vips: list[str]) -> list[str]:
    """One connection to each at the same time; what wrk said of each."""
    clients = [
        subprocess.Popen(
            [
                "wrk",
                "--threads",
                "1",
                "--connections",
                "1",
                "--duration",
                f"{_SECONDS}s",
                "--timeout",
                "10s",
                f"http://{vip}/",
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        for vip in vips
    ]
    return [client.communicate()[0] for client in clients]


def _available() -> float:
    """Megabytes that the machine has left (proc(5), MemAvailable)."""
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) / 1024
