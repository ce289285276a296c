"""What the controller alone takes: API, database and worker of a `livia up` whose drivers make nothing.

Nobody waits for a network namespace or an agent here, so what is measured is Livia's own: accepting, waking, leasing,
planning, recording. Clients keep their connections and ask for the status every few milliseconds.
"""

import json
import os
import shutil
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import urllib3

from benchmarks.figures import Figure, median
from benchmarks.mariadb import free_port
from benchmarks.processes import command_name, cpu_seconds
from livia.ops.demo.running import RunningLivia
from livia.ops.status import children
from livia.ops.supervisor import COMMAND_PREFIX

_CONFIG = """
[api_settings]
bind_port = {api}
[health_manager]
bind_port = {health}
# Nobody sends heartbeats here, and nobody is to be replaced for it.
heartbeat_timeout = 86400
[haproxy_amphora]
bind_port = {agent}
[controller_worker]
loadbalancer_topology = {topology}
amphora_driver = amphora_noop_driver
compute_driver = compute_noop_driver
network_driver = network_noop_driver
"""
#: what the incumbent took with its no-op drivers, milliseconds
_INCUMBENT = {"bare": 546, "crowd": 9300, "tree": 7000}
#: clients of one tenant at once
_CLIENTS = 20
#: seconds between two looks at a status
_LOOK = 0.002
#: and at a list of them, which costs the API more: looks must not be what is measured
_LOOK_AT_LIST = 0.01
#: seconds until whatever was asked for must be there
_PATIENCE = 300.0
_SUBNET = "6f4b9a0e-2a53-4c6b-9c1f-6f2d0c2b5a11"


class Tenant:
    """One project's client."""

    def __init__(self, host: str, port: int) -> None:
        self._project = uuid4().hex
        headers = {"X-Project-Id": self._project, "Content-Type": "application/json"}
        self._pool = urllib3.HTTPConnectionPool(
            host, port, maxsize=32, timeout=60.0, retries=False, block=True, headers=headers
        )

    def create(self, **children: Any) -> str:
        """The id of a new load balancer."""
        body = {"loadbalancer": {"name": "bench", "vip_subnet_id": _SUBNET, **children}}
        created: str = self._ask("POST", "/loadbalancers", body)["loadbalancer"]["id"]
        return created

    def create_many(self, count: int) -> list[str]:
        """So many bare ones, asked for at once."""
        with ThreadPoolExecutor(min(count, _CLIENTS)) as clients:
            return list(clients.map(lambda _number: self.create(), range(count)))

    def change(self, key: str, words: str) -> None:
        """Change a load balancer, which asks for a reconcile."""
        self._ask("PUT", f"/loadbalancers/{key}", {"loadbalancer": {"description": words}})

    def wait_active(self, key: str) -> float:
        """Wait until it is ACTIVE; the time then."""
        return self.wait_all([key])[key]

    def wait_all(self, keys: Sequence[str]) -> dict[str, float]:
        """When each of these was first seen ACTIVE."""
        wanted, found = set(keys), dict[str, float]()
        # Without authentication everybody sees all projects.
        listed_by = f"?project_id={self._project}&fields=id&fields=provisioning_status"
        path, pause = f"/loadbalancers/{keys[0]}", _LOOK
        if len(keys) > 1:
            path, pause = f"/loadbalancers{listed_by}", _LOOK_AT_LIST
        deadline = time.monotonic() + _PATIENCE
        while wanted:
            asked = time.monotonic()
            answer = self._ask("GET", path)
            now = time.monotonic()
            if now > deadline:
                raise RuntimeError(f"{len(wanted)} of {len(keys)} load balancers did not become ACTIVE")
            listed = answer["loadbalancers"] if "loadbalancers" in answer else [answer["loadbalancer"]]
            active = {each["id"] for each in listed if each["provisioning_status"] == "ACTIVE"} & wanted
            found |= dict.fromkeys(active, now)
            wanted -= active
            # Long lists cost the API as much as changes do: it is to have half of its time for these.
            time.sleep(max(pause, now - asked))
        return found

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self._pool.request(method, f"/v2/lbaas{path}", body=None if body is None else json.dumps(body))
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.data[:500]!r}")
        decoded: dict[str, Any] = json.loads(answer.data)
        return decoded


class Controller:
    """A running controller."""

    def __init__(self, livia: RunningLivia) -> None:
        self._livia = livia

    def tenant(self) -> Tenant:
        """A client of a project of its own."""
        listen = self._livia.installation.settings.server
        return Tenant(listen.bind_host, listen.bind_port)

    def pid(self, service: str) -> int | None:
        """The process of a service, while it has one."""
        assert self._livia.process is not None
        for pid in children(self._livia.process.pid):
            try:
                if command_name(pid) == COMMAND_PREFIX + service:
                    return pid
            except OSError:
                continue
        return None

    @property
    def worker(self) -> int:
        """The worker's process; waited for, as it may be about to be started again."""
        while (pid := self.pid("worker")) is None:
            time.sleep(_LOOK)
        return pid

    @contextmanager
    def paused_worker(self) -> Iterator[int]:
        """The worker's process, stopped: what is asked for meanwhile comes to it at once."""
        pid = self.worker
        os.kill(pid, signal.SIGSTOP)
        try:
            yield pid
        finally:
            os.kill(pid, signal.SIGCONT)

    def cpu(self) -> tuple[float, float]:
        """Seconds of CPU that the worker and the API have used."""
        api = self.pid("api")
        return cpu_seconds(self.worker), 0.0 if api is None else cpu_seconds(api)


@contextmanager
def running(topology: str) -> Iterator[Controller]:
    """A controller with no-op drivers, and this default topology: `SINGLE`, as octavia.conf has it, or
    `ACTIVE_STANDBY`."""
    directory = Path(tempfile.mkdtemp(prefix="lv-"))
    config = directory / "octavia.conf"
    ports = {"api": free_port(), "health": free_port(), "agent": free_port()}
    config.write_text(_CONFIG.format(topology=topology, **ports))
    livia = RunningLivia(directory / "state", [config])
    try:
        livia.start()
        yield Controller(livia)
    finally:
        livia.close(purge=True)
        shutil.rmtree(directory)


def alone() -> Iterator[Figure]:
    """Everything, in turn."""
    with running("ACTIVE_STANDBY") as pairs:
        elapsed, _worker, _api = _timed(pairs, rounds=50)
        yield _latency("controller_bare_pair_to_active", elapsed)
    with running("SINGLE") as controller:
        yield from _all_figures(controller)


def _all_figures(controller: Controller) -> Iterator[Figure]:
    yield from bare(controller)
    yield from crowd(controller)
    yield from tree(controller)
    yield from beside_a_crowd(controller)
    yield recovery(controller)


def bare(controller: Controller, *, rounds: int = 100) -> Iterator[Figure]:
    """POST to ACTIVE of one bare load balancer after the other, and the worker's CPU for it."""
    elapsed, worker, api = _timed(controller, rounds=rounds)
    yield _latency("controller_bare_to_active", elapsed, most=30.0, incumbent=_INCUMBENT["bare"])
    yield _cpu("controller_worker_cpu_per_bare", worker, api, rounds)


def crowd(controller: Controller, *, size: int = 20, rounds: int = 10) -> Iterator[Figure]:
    """POST to ACTIVE of each of 20 bare load balancers that are asked for at once."""
    elapsed: list[float] = []
    for _round in range(rounds):
        tenant = controller.tenant()
        started = time.monotonic()
        keys = tenant.create_many(size)
        elapsed += [(at - started) * 1000 for at in tenant.wait_all(keys).values()]
    yield _latency(f"controller_{size}_at_once_to_active", elapsed, most=200.0, incumbent=_INCUMBENT["crowd"])


def tree(controller: Controller, *, rounds: int = 20) -> Iterator[Figure]:
    """POST to ACTIVE of a load balancer with 10 listeners, each with a pool of 10 members, in one request."""
    elapsed, worker, api = _timed(controller, rounds=rounds, listeners=_ten_by_ten())
    yield _latency("controller_tree_to_active", elapsed, most=150.0, incumbent=_INCUMBENT["tree"])
    yield _cpu("controller_worker_cpu_per_tree", worker, api, rounds)


def beside_a_crowd(controller: Controller, *, size: int = 1000) -> Iterator[Figure]:
    """A tenant's change, PUT to ACTIVE, while another's changes of 1,000 load balancers wait for the worker."""
    many, one = controller.tenant(), controller.tenant()
    keys = many.create_many(size)
    own = one.create()
    many.wait_all(keys)
    one.wait_active(own)
    idle = [_change(one, own, number) for number in range(20)]
    before, begun = controller.cpu(), time.monotonic()
    with controller.paused_worker(), ThreadPoolExecutor(_CLIENTS) as clients:
        # As if they had come in the same moment: the API takes them more slowly than the worker works.
        list(clients.map(lambda key: many.change(key, "another"), keys))
        begun = time.monotonic()
    beside = [_change(one, own, number) for number in range(100, 110)]
    drained = max(many.wait_all(keys).values())
    worker = (controller.cpu()[0] - before[0]) / (size + len(beside)) * 1000
    yield _latency("controller_change_beside_1000", beside, most=100.0, idle=round(statistics.median(idle), 1))
    detail = {"worker, ms CPU a change": round(worker, 2)}
    seconds = drained - begun
    yield Figure(name="controller_1000_changes_worked_off", value=round(seconds, 2), unit="s", n=1, detail=detail)


def recovery(controller: Controller, *, size: int = 100, rounds: int = 3) -> Figure:
    """From the start of another worker until all are ACTIVE, with 100 creations under way when the first was killed."""
    elapsed = []
    for _round in range(rounds):
        tenant = controller.tenant()
        with controller.paused_worker() as killed:
            keys = tenant.create_many(size)
        time.sleep(0.05)
        os.kill(killed, signal.SIGKILL)
        while controller.worker == killed:
            time.sleep(_LOOK)
        started = time.monotonic()
        elapsed.append(max(tenant.wait_all(keys).values()) - started)
    return median("controller_recovery_after_kill", elapsed, "s", most=5.0, operations=size)


def _timed(controller: Controller, *, rounds: int, **children: Any) -> tuple[list[float], float, float]:
    """Milliseconds from POST to ACTIVE of one after the other; ms of CPU of the worker and of the API for each."""
    tenant = controller.tenant()
    _to_active(tenant, **children)
    before = controller.cpu()
    elapsed = [_to_active(tenant, **children) for _ in range(rounds)]
    worker, api = ((now - then) / rounds * 1000 for now, then in zip(controller.cpu(), before, strict=True))
    return elapsed, worker, api


def _to_active(tenant: Tenant, **children: Any) -> float:
    started = time.monotonic()
    return (tenant.wait_active(tenant.create(**children)) - started) * 1000


def _change(tenant: Tenant, key: str, number: int) -> float:
    started = time.monotonic()
    tenant.change(key, f"change {number}")
    return (tenant.wait_active(key) - started) * 1000


def _latency(name: str, values: Sequence[float], *, most: float | None = None, **detail: float) -> Figure:
    late = statistics.quantiles(values, n=100)[98] if len(values) >= 100 else max(values)
    return median(name, values, "ms", most=most, p99=round(late, 1), **detail)


def _cpu(name: str, worker: float, api: float, n: int) -> Figure:
    detail = {"of the API, which is asked for statuses": round(api, 2)}
    return Figure(name=name, value=round(worker, 2), unit="ms CPU", n=n, detail=detail)


def _ten_by_ten() -> list[dict[str, Any]]:
    return [_listener(8000 + number) for number in range(10)]


def _listener(port: int) -> dict[str, Any]:
    members = [{"address": f"10.0.0.{number + 1}", "protocol_port": 80} for number in range(10)]
    pool = {"name": f"pool-{port}", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": members}
    return {"name": f"listener-{port}", "protocol": "HTTP", "protocol_port": port, "default_pool": pool}
