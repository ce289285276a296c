"""A running Livia with backends, for measuring: on ports of its own, removed at the end."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from livia.ops.demo.api import Api
from livia.ops.demo.load import Load
from livia.ops.demo.running import RunningLivia
from livia.ops.demo.stage import BACKEND_PORT, Stage

_CONFIG = """
[api_settings]
bind_port = 29876
[health_manager]
bind_port = 25555
[haproxy_amphora]
bind_port = 29443
[controller_worker]
loadbalancer_topology = {topology}
"""


class Scene:
    """`start_seconds`: from the command to the line that says ready."""

    def __init__(self, livia: RunningLivia, start_seconds: float) -> None:
        self.livia = livia
        self.start_seconds = start_seconds
        listen = livia.installation.settings.server
        self.api = Api(listen.bind_host, listen.bind_port)
        self.stage = Stage(livia.installation)
        self.backends = {name: self.stage.start_backend(name) for name in ("web-1", "web-2")}

    def wanted(self, name: str) -> dict[str, Any]:
        """A fully configured load balancer: listener, pool, two members, monitor."""
        pool = {
            "name": "web",
            "protocol": "HTTP",
            "lb_algorithm": "ROUND_ROBIN",
            "healthmonitor": {"type": "HTTP", "delay": 1, "timeout": 1, "max_retries": 1, "url_path": "/"},
            "members": [
                {"name": each, "address": address, "protocol_port": BACKEND_PORT}
                for each, address in self.backends.items()
            ],
        }
        listener = {"name": "http", "protocol": "HTTP", "protocol_port": 80, "default_pool": pool}
        return {"name": name, "vip_subnet_id": self.stage.subnet.id, "listeners": [listener]}

    def create(self, name: str) -> dict[str, Any]:
        """Create and wait for ACTIVE."""
        created: dict[str, Any] = self.api.post("/loadbalancers", {"loadbalancer": self.wanted(name)})["loadbalancer"]
        self.api.wait_active(created["id"])
        return created

    def create_with_members(self, name: str, count: int) -> dict[str, Any]:
        """A load balancer whose pool has this many members, unchecked, most of which are not there."""
        wanted = self.wanted(name)
        pool = wanted["listeners"][0]["default_pool"]
        del pool["healthmonitor"]
        address = self.backends["web-1"]
        pool["members"] = [{"address": address, "protocol_port": BACKEND_PORT + n} for n in range(count)]
        created: dict[str, Any] = self.api.post("/loadbalancers", {"loadbalancer": wanted})["loadbalancer"]
        self.api.wait_active(created["id"])
        return created

    def delete(self, load_balancer: dict[str, Any]) -> None:
        """Delete with everything, and wait."""
        self.api.delete(f"/loadbalancers/{load_balancer['id']}?cascade=true")
        self.api.wait_gone(load_balancer["id"])

    @staticmethod
    def load(
        load_balancer: dict[str, Any], *, fresh: bool, clients: int, pause: float, timeout: float | None = None
    ) -> Load:
        """Clients of the VIP, which wait `timeout` seconds for an answer: 0.05 on fresh connections and 2 on kept ones
        unless told, for who waits long sees too late that a silence has ended."""
        timeout = timeout or (0.05 if fresh else 2.0)
        return Load(load_balancer["vip_address"], 80, clients=clients, pause=pause, fresh=fresh, timeout=timeout)


@contextmanager
def scene(topology: str) -> Iterator[Scene]:
    """A scene with this default topology, `SINGLE` or `ACTIVE_STANDBY`."""
    directory = Path(tempfile.mkdtemp(prefix="lv-"))
    config = directory / "octavia.conf"
    config.write_text(_CONFIG.format(topology=topology))
    livia = RunningLivia(directory / "state", [config])
    try:
        started = time.monotonic()
        livia.start()
        found = Scene(livia, time.monotonic() - started)
        try:
            yield found
        finally:
            found.stage.close()
    finally:
        livia.close(purge=True)
        shutil.rmtree(directory)
