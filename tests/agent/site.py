"""A lab that a whole module of tests uses: an agent, a namespace for clients and one for members."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from livia.agent.haproxy.runtime import Worker
from livia.core.spec import ListenerSpec, PoolSpec, Spec
from tests.agent.lab import VIP, Lab, single
from tests.agent.members import Response, ask

MEMBERS = "172.31.213.11"
CLIENT = "172.31.213.100"


class Site:
    """One amphora, whose listeners and pools each test or module sets with `apply`."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.members = lab.namespace("members", MEMBERS)
        self.client = lab.namespace("client", CLIENT)
        self._generation = 0

    def apply(self, pools: tuple[PoolSpec, ...], *listeners: ListenerSpec, texts: Sequence[str] = ()) -> None:
        """`texts`: the key material that listeners and pools name."""
        self.apply_spec(single(pools, listeners), texts)

    def apply_spec(self, spec: Spec, texts: Sequence[str] = ()) -> None:
        self._generation += 1
        self.lab.apply(spec, self._generation, texts)

    def ask(self, port: int, *lines: str, method: str = "GET", target: str = "/") -> tuple[int, str]:
        """(status, body) of one request; status 0 when there is no answer."""
        answered = self.respond(port, *lines, method=method, target=target)
        return answered.status, answered.body.decode()

    def respond(self, port: int, *lines: str, method: str = "GET", target: str = "/") -> Response:
        return ask(self.client, VIP, port, *lines, method=method, target=target)

    def run(self, *command: str) -> str:
        """What a client prints. Raises CalledProcessError."""
        whole = ["nsenter", f"--net=/run/netns/{self.client}", *command]
        return subprocess.run(whole, check=True, capture_output=True, text=True, timeout=60).stdout

    @property
    def worker(self) -> Worker:
        return Worker(self.lab.config.state_directory / "amphorae" / "amphora-5")

    def counted(self, proxy: str, server: str, column: str) -> str:
        """A figure of `show stat`."""
        titles, *rows = (line.split(",") for line in self.worker.ask("show stat").splitlines())
        titles[0] = "pxname"
        return next(row[titles.index(column)] for row in rows if row[:2] == [proxy, server])

    def resident(self) -> int:
        """The most memory that HAProxy's worker has had, in KiB."""
        status = Path(f"/proc/{self.lab.worker_pid('amphora-5')}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0])
