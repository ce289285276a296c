"""What clients of a VIP notice: how soon it answers, how a change shows, how long it is silent."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.figures import Figure, median
from benchmarks.scene import Scene
from livia.agent.config import AgentConfig
from livia.ops.demo import faults
from livia.ops.demo.stage import BACKEND_PORT
from livia.store import trees


def creation(scene: Scene, topology: str, *, most: float, rounds: int = 20) -> Iterator[Figure]:
    """POST of a fully configured load balancer to the first 200 through the VIP."""
    first, active = [], []
    for number in range(rounds):
        started = time.monotonic()
        created = scene.api.post("/loadbalancers", {"loadbalancer": scene.wanted(f"bench-{number}")})["loadbalancer"]
        with scene.load(created, fresh=True, clients=1, pause=0.002) as load:
            answered = load.first_answer_after(started, timeout=30.0)
        assert answered is not None
        first.append(answered - started)
        scene.api.wait_active(created["id"])
        active.append(time.monotonic() - started)
        scene.delete(created)
    yield median(f"post_to_first_200_{topology.lower()}", first, "s", most=most)
    yield median(f"post_to_active_{topology.lower()}", active, "s")


def members(scene: Scene, *, rounds: int = 25, reloads: int = 20) -> Iterator[Figure]:
    """Members added and removed, and reloads forced, under a constant load."""
    load_balancer = scene.create("bench-members")
    path = f"/pools/{load_balancer['pools'][0]['id']}/members"
    address = scene.stage.start_backend("web-3")
    joined, left = [], []
    with scene.load(load_balancer, fresh=False, clients=4, pause=0.002) as load:
        for _round in range(rounds):
            added = time.monotonic()
            body = {"member": {"address": address, "protocol_port": BACKEND_PORT, "name": "web-3"}}
            member = scene.api.post(path, body)["member"]
            answered = load.first_answer_after(added, who="web-3")
            assert answered is not None
            joined.append((answered - added) * 1000)
            scene.api.wait_active(load_balancer["id"])
            time.sleep(0.1)
            removed = time.monotonic()
            scene.api.delete(f"{path}/{member['id']}")
            scene.api.wait_active(load_balancer["id"])
            time.sleep(0.2)
            left.append(max(0.0, (load.last_answer_by("web-3") or removed) - removed) * 1000)
        listener = load_balancer["listeners"][0]["id"]
        for number in range(reloads):
            scene.api.put(f"/listeners/{listener}", {"listener": {"timeout_client_data": 60_000 + number}})
            scene.api.wait_active(load_balancer["id"])
        failed, total = load.failed(), load.total()
    scene.delete(load_balancer)
    yield median("member_create_to_first_request", joined, "ms", most=100)
    yield median("member_delete_to_last_request", left, "ms", most=100)
    yield Figure(
        name="failed_requests_during_changes",
        value=failed,
        unit="requests",
        n=total,
        detail={"member changes": 2 * rounds, "reloads": reloads},
        most=0,
    )


def silence(scene: Scene, *, rounds: int = 10) -> Iterator[Figure]:
    """How long the VIP is silent when its master vanishes, and when only its HAProxy is killed."""
    load_balancer = scene.create("bench-silence")
    vanished, killed = [], []
    for _round in range(rounds):
        _master, silent = _break(scene, load_balancer, faults.kill_haproxy)
        killed.append(silent * 1000)
        # HAProxy is started again by its supervisor; let the pair be whole before the next fault.
        time.sleep(2.0)
    for _round in range(rounds):
        master, silent = _break(scene, load_balancer, faults.destroy)
        vanished.append(silent * 1000)
        _wait_replaced(scene, load_balancer, master)
    scene.delete(load_balancer)
    yield median("vip_silence_haproxy_killed", killed, "ms", most=100)
    yield median("vip_silence_master_vanished", vanished, "ms", most=400)


def planned(scene: Scene, *, rounds: int = 10) -> Iterator[Figure]:
    """Failovers that an operator asks for, under a constant load of fresh connections and of kept ones."""
    load_balancer = scene.create("bench-planned")
    silent, failed, total = [], 0, 0
    for _round in range(rounds):
        _vip_holder(scene, load_balancer["id"])
        fresh, kept = (
            scene.load(load_balancer, fresh=each, clients=2, pause=0.005, timeout=5.0) for each in (True, False)
        )
        # Nobody new is let in before the VIP moves (agent/parting.py). The patient notice it by TCP's timer of a second
        # only; these ask again at once, and tell how long the door was shut.
        impatient = scene.load(load_balancer, fresh=True, clients=2, pause=0.005)
        with fresh, kept, impatient:
            time.sleep(0.3)
            moment = time.monotonic()
            scene.api.put(f"/loadbalancers/{load_balancer['id']}/failover", {})
            scene.api.wait_active(load_balancer["id"], seconds=60.0)
            silence = impatient.silence_after(moment)
        assert silence is not None
        silent.append(silence * 1000)
        failed += fresh.failed() + kept.failed()
        total += fresh.total() + kept.total()
    scene.delete(load_balancer)
    yield Figure(
        name="failed_requests_planned_failover",
        value=failed,
        unit="requests",
        n=total,
        detail={"failovers of both amphorae": rounds},
        most=0,
    )
    yield median("vip_silence_planned_failover", silent, "ms")


def _break(scene: Scene, load_balancer: dict[str, Any], fault: Callable[[AgentConfig, str], None]) -> tuple[str, float]:
    """Do something bad to the master; which amphora that was, and the seconds of silence."""
    with scene.load(load_balancer, fresh=True, clients=2, pause=0.005) as load:
        time.sleep(0.3)
        master = _vip_holder(scene, load_balancer["id"])
        moment = time.monotonic()
        fault(scene.livia.installation.agent_config(), master)
        silent = load.silence_after(moment)
    assert silent is not None
    return master, silent


def _vip_holder(scene: Scene, key: str) -> str:
    installation = scene.livia.installation
    database = installation.database()
    agents, hosts = installation.agents(), installation.hosts(database)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with database.read() as connection:
            tree = trees.load(connection, key)
        for amphora in () if tree is None else tree.amphorae:
            placement = hosts.find(amphora)
            observed = None if placement is None else agents.observe(placement, amphora.id)
            if observed is not None and observed.holds_vip:
                return amphora.id
        time.sleep(0.02)
    raise AssertionError("no amphora holds the VIP")


def _wait_replaced(scene: Scene, load_balancer: dict[str, Any], dead: str) -> None:
    """Until two amphorae serve again, neither of them the dead one, and both confirmed the newest generation.

    The guard lets two failovers happen a minute, so this may take that long.
    """
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        with scene.livia.installation.database().read() as connection:
            tree = trees.load(connection, load_balancer["id"])
        amphorae = () if tree is None else tree.amphorae
        alive = len(amphorae) == 2 and {each.status for each in amphorae} == {"ALLOCATED"}
        if tree is not None and alive and dead not in {each.id for each in amphorae}:
            generations = {each.applied_generation for each in tree.amphorae}
            if generations == {tree.load_balancer.confirmed_generation} == {tree.load_balancer.generation}:
                time.sleep(1.0)
                return
        time.sleep(0.1)
    raise AssertionError("the pair did not become whole again")
