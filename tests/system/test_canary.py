"""The canary of a Livia that runs: it lives, it is counted, and one that is killed leaves nothing to its followers."""

import re
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
import urllib3
from urllib3.exceptions import HTTPError

from livia.agent.names import Names
from livia.ops.demo import faults
from tests.system.conftest import System, make_system

METRICS_PORT = 26890
#: another installation may run beside this one
PORTS = f"""
[api_settings]
bind_port = 26886
[health_manager]
bind_port = 26565
[haproxy_amphora]
bind_port = 26453
[livia]
metrics_port = {METRICS_PORT}
"""
PHASES = ["clean", "create", "use", "failover", "delete"]


@pytest.fixture(scope="module")
def cage() -> Iterator[System]:
    yield from make_system(PORTS)


def send(system: System) -> "subprocess.CompletedProcess[str]":
    command = system.livia.command("canary")
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def left(system: System) -> list[str]:
    """Load balancers in the canary's project."""
    return [each["id"] for each in system.api.get("/loadbalancers?project_id=livia-canary")["loadbalancers"]]


def amphorae(system: System) -> set[str]:
    """Namespaces of amphorae."""
    names = Names(system.livia.installation.state.agent_directory)
    return faults.namespaces(names.prefix) - {names.fabric}


def test_it_lives_and_leaves_nothing(cage: System) -> None:
    ended = send(cage)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    lines = ended.stdout.splitlines()
    assert [line.split()[0] for line in lines] == PHASES
    assert lines[2].endswith("the VIP answers")
    assert lines[3].endswith("2 amphorae were replaced, the VIP answers")
    assert left(cage) == []
    assert amphorae(cage) == set()
    assert (
        "livia-canary"
        not in subprocess.run(cage.livia.command("network", "list"), capture_output=True, text=True, check=True).stdout
    )


def test_what_a_killed_one_left_is_removed_by_the_next(cage: System) -> None:
    mine = {"loadbalancer": {"name": "livia-canary", "vip_subnet_id": cage.stage.subnet.id}}
    others = cage.api.post("/loadbalancers", mine)["loadbalancer"]["id"]
    with subprocess.Popen(cage.livia.command("canary"), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("create"):
                process.send_signal(signal.SIGKILL)
                break
    assert len(left(cage)) == 1
    ended = send(cage)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "removed 1 that earlier ones left" in ended.stdout
    assert left(cage) == []
    # A tenant may call a load balancer like that, too.
    cage.api.wait_active(others)
    cage.api.delete(f"/loadbalancers/{others}")
    cage.api.wait_gone(others)


def test_on_a_timer_they_are_counted_one_at_a_time(cage: System) -> None:
    process = subprocess.Popen(cage.livia.command("canary", "--every", "0.2"), stdout=subprocess.DEVNULL)
    try:
        refused = None
        deadline = time.monotonic() + 240
        while (found := scraped()).get('livia_canary_runs_total{outcome="done"}', 0.0) < 2 or refused is None:
            assert time.monotonic() < deadline
            ended = send(cage) if left(cage) else None
            refused = ended if ended is not None and "one at a time" in ended.stderr else refused
            time.sleep(0.05)
    finally:
        process.terminate()
        process.wait()
    assert refused.returncode == 1
    for phase in PHASES:
        assert found[f'livia_canary_phases_total{{outcome="done",phase="{phase}"}}'] >= 2
        assert found[f'livia_canary_phases_total{{outcome="failed",phase="{phase}"}}'] == 0


def scraped() -> dict[str, float]:
    """Series to value; nothing before the first canary is on its way."""
    try:
        text = urllib3.request("GET", f"http://127.0.0.1:{METRICS_PORT + 4}/metrics", retries=False).data.decode()
    except HTTPError:
        return {}
    return {name: float(value) for name, value in re.findall(r"^(\S+) (\S+)$", text, re.MULTILINE)}


def test_what_it_dies_of_is_told(cage: System) -> None:
    cage.livia.stop()
    try:
        ended = send(cage)
    finally:
        cage.livia.start()
    assert ended.returncode == 1
    assert ended.stdout.startswith("clean     failed: GET /loadbalancers")
    assert "the API does not answer" in ended.stdout
