"""A load balancer's life under real traffic: created, changed, broken, repaired, deleted."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from livia.agent.haproxy.master import Master
from livia.agent.names import Names
from livia.ops.demo import faults
from livia.ops.demo.api import Api, NoAnswerError
from livia.ops.demo.load import Load
from livia.ops.demo.stage import BACKEND_PORT
from livia.ops.status import children
from livia.store import trees
from tests.system.conftest import System
from tests.waiting import wait_for


def create(
    system: System, name: str, backends: dict[str, str], *, flavor_id: str | None = None, **monitor: Any
) -> dict[str, Any]:
    """An HTTP load balancer over the backends, ACTIVE; its object with `pools` and `listeners`."""
    pool: dict[str, Any] = {
        "name": "web",
        "protocol": "HTTP",
        "lb_algorithm": "ROUND_ROBIN",
        "members": [
            {"name": each, "address": address, "protocol_port": BACKEND_PORT} for each, address in backends.items()
        ],
    }
    if monitor:
        pool["healthmonitor"] = monitor
    listener = {"name": "http", "protocol": "HTTP", "protocol_port": 80, "default_pool": pool}
    wanted = {"name": name, "vip_subnet_id": system.stage.subnet.id, "listeners": [listener]}
    if flavor_id is not None:
        wanted["flavor_id"] = flavor_id
    created: dict[str, Any] = system.api.post("/loadbalancers", {"loadbalancer": wanted})["loadbalancer"]
    system.api.wait_active(created["id"])
    return created


def load_on(load_balancer: dict[str, Any], *, fresh: bool = False, clients: int = 4, port: int = 80) -> Load:
    return Load(load_balancer["vip_address"], port, clients=clients, pause=0.002, fresh=fresh, timeout=5.0)


def amphorae_of(system: System, key: str) -> dict[str, bool]:
    """Amphora id to whether its row says that it holds the VIP."""
    with system.livia.installation.database().read() as connection:
        tree = trees.load(connection, key)
    return {} if tree is None else {each.id: each.holds_vip for each in tree.amphorae}


def statuses(api: Api, key: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/loadbalancers/{key}/status")["statuses"]["loadbalancer"]
    return found


def delete(system: System, load_balancer: dict[str, Any]) -> None:
    system.api.delete(f"/loadbalancers/{load_balancer['id']}?cascade=true")
    system.api.wait_gone(load_balancer["id"])


MONITOR: dict[str, Any] = {
    "type": "HTTP",
    "delay": 1,
    "timeout": 1,
    "max_retries": 1,
    "max_retries_down": 3,
    "url_path": "/",
}


@pytest.fixture(scope="module")
def backends(system: System) -> dict[str, str]:
    return {name: system.stage.start_backend(name) for name in ("web-1", "web-2", "web-3")}


def test_traffic_statuses_and_statistics(system: System, backends: dict[str, str]) -> None:
    load_balancer = create(system, "traffic", backends, **MONITOR)
    key = load_balancer["id"]
    with load_on(load_balancer) as load:
        wait_for(lambda: len(load.who()) == 3, 30, "all backends answer")
    assert load.faults() == []
    # Two heartbeat intervals of one second, and the time of one health check.
    wait_for(lambda: statuses(system.api, key)["operating_status"] == "ONLINE", 30, "the load balancer is ONLINE")
    (listener,) = statuses(system.api, key)["listeners"]
    (pool,) = listener["pools"]
    wait_for(
        lambda: all(
            member["operating_status"] == "ONLINE"
            for member in statuses(system.api, key)["listeners"][0]["pools"][0]["members"]
        ),
        30,
        "every member is ONLINE",
    )
    assert pool["health_monitor"]["operating_status"] == "ONLINE"
    wait_for(
        lambda: system.api.get(f"/loadbalancers/{key}/stats")["stats"]["total_connections"] >= 4,
        30,
        "the connections are counted",
    )
    stats = system.api.get(f"/listeners/{listener['id']}/stats")["stats"]
    assert stats["bytes_in"] > 0
    assert stats["bytes_out"] > 0
    delete(system, load_balancer)


def test_a_member_that_refuses_connections_is_an_error_and_gets_no_traffic(
    system: System, backends: dict[str, str]
) -> None:
    load_balancer = create(system, "refusing", {"web-1": backends["web-1"]}, **MONITOR)
    pool = load_balancer["pools"][0]["id"]
    bad = system.api.post(
        f"/pools/{pool}/members", {"member": {"address": backends["web-2"], "protocol_port": 9, "name": "closed"}}
    )["member"]
    system.api.wait_active(load_balancer["id"])

    def member_status() -> str:
        return str(system.api.get(f"/pools/{pool}/members/{bad['id']}")["member"]["operating_status"])

    wait_for(lambda: member_status() == "ERROR", 30, "the refusing member is in ERROR")
    wait_for(
        lambda: system.api.get(f"/pools/{pool}")["pool"]["operating_status"] == "DEGRADED", 30, "the pool is DEGRADED"
    )
    with load_on(load_balancer) as load:
        time.sleep(0.5)
    assert load.faults() == []
    assert set(load.who()) == {"web-1"}
    delete(system, load_balancer)


def test_members_come_and_go_without_a_failed_request(system: System, backends: dict[str, str]) -> None:
    load_balancer = create(system, "members", {"web-1": backends["web-1"], "web-2": backends["web-2"]}, **MONITOR)
    path = f"/pools/{load_balancer['pools'][0]['id']}/members"
    with load_on(load_balancer) as load:
        for _round in range(5):
            added = time.monotonic()
            member = system.api.post(
                path, {"member": {"address": backends["web-3"], "protocol_port": BACKEND_PORT, "name": "web-3"}}
            )["member"]
            assert load.first_answer_after(added, who="web-3", timeout=30.0) is not None
            system.api.put(f"{path}/{member['id']}", {"member": {"weight": 0}})
            system.api.wait_active(load_balancer["id"])
            system.api.delete(f"{path}/{member['id']}")
            system.api.wait_active(load_balancer["id"])
            # Who asked before it was gone may be told that late, nobody else.
            wait_for(
                lambda: time.monotonic() - (load.last_answer_by("web-3") or 0.0) > 0.5,
                30,
                "the member that was removed is not asked any more",
            )
        listener = load_balancer["listeners"][0]["id"]
        for milliseconds in range(60_000, 60_005):
            system.api.put(f"/listeners/{listener}", {"listener": {"timeout_client_data": milliseconds}})
            system.api.wait_active(load_balancer["id"])
    assert load.faults() == []
    delete(system, load_balancer)


def test_a_dead_master_is_survived_and_replaced(system: System, backends: dict[str, str]) -> None:
    load_balancer = create(system, "failover", backends, **MONITOR)
    key = load_balancer["id"]
    before: dict[str, bool] = {}

    def held() -> bool:
        # Looked at once: right after its creation a pair may settle on another.
        before.clear()
        before.update(amphorae_of(system, key))
        return any(before.values())

    wait_for(held, 30, "an amphora reports that it holds the VIP")
    master = next(each for each, holds in before.items() if holds)
    with load_on(load_balancer, fresh=True, clients=1) as load:
        time.sleep(0.2)
        killed = time.monotonic()
        faults.destroy(system.livia.installation.agent_config(), master)
        assert load.first_answer_after(killed, timeout=30.0) is not None, "nobody took over"

    def replaced() -> bool:
        after = amphorae_of(system, key)
        return master not in after and len(after) == 2

    wait_for(replaced, 30, "the dead amphora is replaced")
    system.api.wait_active(key)
    assert len(set(before) & set(amphorae_of(system, key))) == 1
    codes = {entry["code"] for entry in system.api.get(f"/loadbalancers/{key}/events")["events"]}
    assert {"amphora.dead", "amphora.replace"} <= codes
    with load_on(load_balancer) as load:
        time.sleep(0.3)
    assert load.faults() == []
    delete(system, load_balancer)


def test_every_service_may_be_killed_and_traffic_goes_on(system: System, backends: dict[str, str]) -> None:
    load_balancer = create(system, "services", backends, **MONITOR)
    process = system.livia.process
    assert process is not None
    with load_on(load_balancer) as load:
        for pid in children(process.pid):
            os.kill(pid, signal.SIGKILL)
        path = f"/pools/{load_balancer['pools'][0]['id']}"

        def answered(ask: Callable[[], Any]) -> bool:
            """Whether the API answered: while it starts again, it hangs up or does not listen."""
            try:
                ask()
            except NoAnswerError:
                return False
            return True

        change = {"pool": {"lb_algorithm": "LEAST_CONNECTIONS"}}
        wait_for(lambda: answered(lambda: system.api.put(path, change)), 30, "the API answers again")
        active = partial(system.api.wait_active, load_balancer["id"], seconds=40.0)
        wait_for(lambda: answered(active), 30, "the load balancer is ACTIVE again")
    assert load.faults() == []
    delete(system, load_balancer)


def test_kill_9_of_livia_up_changes_nothing(system: System, backends: dict[str, str]) -> None:
    load_balancer = create(system, "restart", backends, **MONITOR)
    key = load_balancer["id"]
    before = (amphorae_of(system, key).keys(), haproxies(system))
    with load_on(load_balancer) as load:
        system.livia.kill()
        time.sleep(1.0)
        assert load.total() > 0
        system.livia.start()
        time.sleep(6.5)
    assert load.faults() == []
    # Longer than the heartbeat timeout after the start: nobody was declared dead, nothing was restarted.
    assert (amphorae_of(system, key).keys(), haproxies(system)) == before

    def found() -> tuple[str, str]:
        shown = system.api.get(f"/loadbalancers/{key}")["loadbalancer"]
        return shown["provisioning_status"], shown["operating_status"]

    wait_for(lambda: found() == ("ACTIVE", "ONLINE"), 30, "it is shown as it is")
    delete(system, load_balancer)


def agent_of(system: System) -> int:
    """Its process id."""
    process = system.livia.process
    assert process is not None
    (found,) = [pid for pid in children(process.pid) if Path(f"/proc/{pid}/comm").read_text().strip() == "livia-agent"]
    return found


def test_changes_that_come_while_one_is_applied_are_one_reload_together(
    system: System, backends: dict[str, str]
) -> None:
    load_balancer = create(system, "burst", backends)
    key, listener = load_balancer["id"], load_balancer["listeners"][0]["id"]
    directories = [
        system.livia.installation.state.agent_directory / "amphorae" / amphora for amphora in amphorae_of(system, key)
    ]
    before = [Master(directory).processes().reloads for directory in directories]
    agent = agent_of(system)
    # However slow the machine is: what is sent first is not done before all others are asked for.
    os.kill(agent, signal.SIGSTOP)
    try:
        for number in range(1, 21):
            system.api.put(f"/listeners/{listener}", {"listener": {"timeout_client_data": 60_000 + number}})
    finally:
        os.kill(agent, signal.SIGCONT)
    system.api.wait_active(key)
    reloads = [Master(each).processes().reloads - count for each, count in zip(directories, before, strict=True)]
    assert all(1 <= each <= 3 for each in reloads), reloads
    for directory in directories:
        assert "timeout client 60020" in (directory / "haproxy.cfg").read_text()
    delete(system, load_balancer)


def test_deletion_leaves_nothing(system: System, backends: dict[str, str]) -> None:
    load_balancer = create(system, "leftover", backends, **MONITOR)
    before = namespaces(system)
    delete(system, load_balancer)
    assert len(before - namespaces(system)) == 2
    assert haproxies(system) == set()


def haproxies(system: System) -> set[int]:
    """Process ids of every HAProxy in namespaces of this installation."""
    return {pid for name in namespaces(system) for pid in faults.haproxies(name)}


def namespaces(system: System) -> set[str]:
    """Namespaces of this installation."""
    return faults.namespaces(Names(system.livia.installation.state.agent_directory).prefix)
