"""UDP through a listener beside the direct way, with 1, 10 and 100 members.

Both ends are Python programs on the same cores: their cost is in both ways, so a ratio says what users of such
programs notice, and the CPU of the packets in between is less visible than with the fastest ends there are.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.figures import Figure, median
from benchmarks.scene import Scene

_FIRST_PORT = 5300
_FLOWS = 16
_PORT = 53


def beside_direct(scene: Scene, *, rounds: int = 9) -> Iterator[Figure]:
    """Round trips per second through the VIP, as ratios to those without it."""
    for members in (1, 10, 100):
        with _balanced(scene, members) as vip:
            direct = next(iter(scene.backends.values()))
            ratios, rates, lost = [], [], 0
            for number in range(rounds + 1):
                ways = [(vip, _PORT), (direct, _FIRST_PORT)]
                answers = [_round_trips(*way) for way in (ways if number % 2 else reversed(ways))]
                through, beside = answers if number % 2 else reversed(answers)
                if number:
                    # The first warms up both.
                    ratios.append(through[0] / beside[0])
                    rates.append(through[0])
                    lost += through[1]
            detail = {"round trips/s": round(sorted(rates)[len(rates) // 2]), "flows": _FLOWS, "lost": lost}
            yield median(f"udp_beside_direct_{members}_members", ratios, "of direct", **detail)


@contextmanager
def _balanced(scene: Scene, members: int) -> Iterator[str]:
    """Echo servers, and a load balancer with a UDP listener before them. Gives the VIP."""
    servers = [
        subprocess.Popen(
            [
                "nsenter",
                f"--net=/run/netns/{scene.stage.namespace(name)}",
                sys.executable,
                "-m",
                "benchmarks.echo",
                "server",
                address,
                str(_FIRST_PORT),
                str(members),
            ],
        )
        for name, address in scene.backends.items()
    ]
    wanted = {
        "name": f"bench-udp-{members}",
        "vip_subnet_id": scene.stage.subnet.id,
        "listeners": [_listener(scene, members)],
    }
    load_balancer = scene.api.post("/loadbalancers", {"loadbalancer": wanted})["loadbalancer"]
    scene.api.wait_active(load_balancer["id"])
    try:
        yield load_balancer["vip_address"]
    finally:
        for server in servers:
            server.send_signal(signal.SIGKILL)
            server.wait()
        scene.delete(load_balancer)


def _listener(scene: Scene, members: int) -> dict[str, Any]:
    addresses = list(scene.backends.values())
    places = [(addresses[number % len(addresses)], _FIRST_PORT + number // len(addresses)) for number in range(members)]
    pool = {
        "name": "echo",
        "protocol": "UDP",
        "lb_algorithm": "ROUND_ROBIN",
        "members": [{"address": address, "protocol_port": port} for address, port in places],
    }
    return {"protocol": "UDP", "protocol_port": _PORT, "default_pool": pool}


def _round_trips(address: str, port: int) -> tuple[float, int]:
    said = subprocess.run(
        [sys.executable, "-m", "benchmarks.echo", "client", address, str(port), str(_FLOWS), "1"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    return float(said[0]), int(said[1])
