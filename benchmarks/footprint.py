"""What a resting installation costs, and what a request costs."""

import statistics
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import urllib3

from benchmarks.figures import Figure
from benchmarks.processes import command_name, cpu_seconds, family
from benchmarks.scene import Scene
from livia.ops.status import children, proportional_memory
from livia.store import trees


def at_rest(scene: Scene) -> Iterator[Figure]:
    """Memory and idle CPU with one load balancer; memory of one amphora."""
    load_balancer = scene.create("bench-rest")
    time.sleep(3.0)
    process = scene.livia.process
    assert process is not None
    pids = family(process.pid)
    memory = sum(map(proportional_memory, pids)) / 1024
    before = cpu_seconds(process.pid)
    time.sleep(10.0)
    idle = (cpu_seconds(process.pid) - before) / 10.0 * 100
    yield Figure(name="livia_memory_at_rest", value=round(memory, 1), unit="MB PSS", n=len(pids), most=250)
    yield Figure(name="livia_cpu_at_rest", value=round(idle, 2), unit="% of a core", n=1, detail={"seconds": 10})
    yield Figure(name="start_to_ready", value=round(scene.start_seconds, 2), unit="s", n=1, most=2)
    yield from _amphora_memory(scene, load_balancer)


def _amphora_memory(scene: Scene, first: dict[str, Any]) -> Iterator[Figure]:
    """Of one among ten, and of one of the only pair: what programs share is divided by who uses it."""
    alone = amphora_sizes(scene, first)
    load_balancers = [first, *(scene.create(f"bench-rest-{number}") for number in range(2, 6))]
    time.sleep(3.0)
    sizes = [size for each in load_balancers for size in amphora_sizes(scene, each)]
    yield Figure(
        name="amphora_memory",
        value=round(statistics.median(sizes), 1),
        unit="MB PSS",
        n=len(sizes),
        detail={"of": "HAProxy, keepalived, supervisors", "one of an only pair": round(max(alone), 1)},
        most=12,
    )
    for each in load_balancers:
        scene.delete(each)


def amphora_sizes(scene: Scene, load_balancer: dict[str, Any]) -> list[float]:
    """Megabytes of each amphora of a load balancer."""
    with scene.livia.installation.database().read() as connection:
        tree = trees.load(connection, load_balancer["id"])
    assert tree is not None
    sizes = []
    for amphora in tree.amphorae:
        listed = subprocess.run(["pgrep", "-f", amphora.id], capture_output=True, text=True, check=False)
        # The supervisors are named after the amphora; what they keep running descends from them.
        inside = {each for pid in listed.stdout.split() for each in family(int(pid))}
        sizes.append(sum(map(proportional_memory, inside)) / 1024)
    return sizes


def requests(scene: Scene, *, rounds: int = 2000) -> Iterator[Figure]:
    """CPU of the API's processes for a GET of one load balancer, and for a list of 100."""
    network = scene.stage.network.id
    process = scene.livia.process
    assert process is not None
    api = next(pid for pid in children(process.pid) if command_name(pid) == "livia-api")
    listen = scene.livia.installation.settings.server
    pool = urllib3.HTTPConnectionPool(listen.bind_host, listen.bind_port)
    created = [
        scene.api.post("/loadbalancers", {"loadbalancer": {"name": f"many-{number}", "vip_network_id": network}})
        for number in range(100)
    ]
    keys = [each["loadbalancer"]["id"] for each in created]
    for key in keys:
        scene.api.wait_active(key, seconds=300)
    for name, path, count, most in (
        ("cpu_get_one", f"/v2/lbaas/loadbalancers/{keys[0]}", rounds, 1.0),
        ("cpu_list_100", "/v2/lbaas/loadbalancers?limit=100", rounds // 4, 3.0),
    ):
        for _warm in range(50):
            pool.request("GET", path)
        before = cpu_seconds(api)
        for _request in range(count):
            assert pool.request("GET", path).status == 200
        spent = cpu_seconds(api) - before
        yield Figure(name=name, value=round(spent / count * 1000, 3), unit="ms CPU", n=count, most=most)
    for key in keys:
        scene.api.delete(f"/loadbalancers/{key}?cascade=true")
    for key in keys:
        scene.api.wait_gone(key, seconds=300)
