"""A real worker is killed with -9 before each step of a creation and of a deletion, on real amphorae."""

import itertools
import multiprocessing
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from livia.agent.names import Names
from livia.core.clock import SystemClock
from livia.drivers.network.local import LocalNetworks
from livia.ops.demo import faults
from livia.ops.demo.api import Api, ApiError
from livia.ops.down import down
from livia.ops.octavia_conf import load
from livia.ops.services import Installation
from livia.ops.state import State
from livia.store import hosts, trees
from tests import ports
from tests.system import one_worker

#: each life is a fork of a process that has everything imported: thirty starts would take longer than what they do
_LIVES = multiprocessing.get_context("forkserver")
_LIVES.set_forkserver_preload(["tests.system.one_worker"])


class WithoutWorker:
    """An installation whose worker runs only when the test says so."""

    def __init__(self, directory: Path) -> None:
        self.config = directory / "octavia.conf"
        self.config.write_text(ports.installation())
        settings, _warnings = load([self.config])
        self.installation = Installation(State(directory / "state"), settings)
        self.api = Api(settings.server.bind_host, settings.server.bind_port)
        self.names = Names(self.installation.state.agent_directory)
        state = str(self.installation.state.directory)
        self._process = subprocess.Popen([sys.executable, "-m", "tests.system.without_worker", state, str(self.config)])
        self._wait_ready()
        database = self.installation.database()
        self.networks = LocalNetworks(database, SystemClock())
        self.network = self.networks.create("crash", "10.79.0.0/24")

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                self.api.get("/loadbalancers")
                with self.installation.database().read() as connection:
                    if hosts.every(connection):
                        return
            except ApiError:
                pass
            time.sleep(0.1)
        raise AssertionError("the services did not start")

    def work(self, key: str, step: int) -> bool:
        """One life of a worker; whether it came to the end rather than being killed."""
        life = _LIVES.Process(target=one_worker.live, args=(self.installation.state.directory, self.config, key, step))
        life.start()
        life.join(60)
        assert life.exitcode in (0, -signal.SIGKILL), f"exit status {life.exitcode}; its words are above"
        return life.exitcode == 0

    def amphora_namespaces(self) -> set[str]:
        return faults.namespaces(self.names.prefix) - {self.names.fabric}

    def ports(self) -> set[str]:
        return {port.name for port in self.networks.ports()}

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()
        down(self.installation, purge=True)


@pytest.fixture(scope="module")
def world() -> Iterator[WithoutWorker]:
    directory = Path(tempfile.mkdtemp(prefix="lv-"))
    found = WithoutWorker(directory)
    try:
        yield found
    finally:
        found.close()
        shutil.rmtree(directory)


NEVER = 10_000


def test_killed_before_every_step_of_a_creation_and_of_a_deletion(world: WithoutWorker) -> None:
    for step in itertools.count():
        body = {"name": f"crash-{step}", "vip_network_id": world.network.id}
        key = world.api.post("/loadbalancers", {"loadbalancer": body})["loadbalancer"]["id"]
        created_at_once = world.work(key, step)
        assert world.work(key, NEVER), "the next worker finishes"
        found = world.api.get(f"/loadbalancers/{key}")["loadbalancer"]
        assert found["provisioning_status"] == "ACTIVE"
        with world.installation.database().read() as connection:
            tree = trees.load(connection, key)
        assert tree is not None
        ids = [amphora.id for amphora in tree.amphorae]
        assert len(ids) == 2
        assert world.amphora_namespaces() == {world.names.amphora(each) for each in ids}
        assert world.ports() == {f"octavia-lb-{key}", *(f"octavia-lb-vrrp-{each}" for each in ids)}
        world.api.delete(f"/loadbalancers/{key}?cascade=true")
        deleted_at_once = world.work(key, step)
        assert world.work(key, NEVER)
        with pytest.raises(ApiError) as refused:
            world.api.get(f"/loadbalancers/{key}")
        assert refused.value.status == 404
        assert world.amphora_namespaces() == set()
        assert world.ports() == set()
        if created_at_once and deleted_at_once:
            assert step >= 6, "the plan has several steps, and each was tried"
            return
