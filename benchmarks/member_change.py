"""What one member change costs the agent in CPU, by the number of members that stay as they are.

`agent`: from the bytes of the request to the text of the file: decoding, acceptance, digest, rendering and planning.
`whole`: all of it in a running Livia, from the API's request to ACTIVE and to the heartbeat that tells of it, and what
of it grows. Reading the spec is what nobody can save as long as a spec is sent whole: loading the tree, building the
spec, encoding and decoding it, once each.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial

import msgspec
from msgspec.structs import replace

from benchmarks.figures import Figure, median
from benchmarks.processes import cpu_seconds
from benchmarks.scene import Scene
from livia.agent.acceptance import check
from livia.agent.familiar import familiar
from livia.agent.haproxy.change import plan
from livia.agent.haproxy.render import Machine, render
from livia.agent.haproxy.servers import AtRuntime, Surroundings
from livia.agent.haproxy.written import Written
from livia.core.model.listener import ListenerProtocol
from livia.core.model.pool import Algorithm, MonitorType, PoolProtocol
from livia.core.spec import (
    Assignment,
    ListenerSpec,
    MemberSpec,
    MonitorSpec,
    PoolSpec,
    Spec,
    build,
    canonical,
    digest_of,
)
from livia.store import trees

#: milliseconds for a thousand members, controller included
_MOST = 100.0
#: seconds from one change to the next
_ALONE = 0.2


def agent(*, rounds: int = 20) -> Iterator[Figure]:
    """CPU milliseconds of one weight change, in pools of 10, 100 and 1,000 members."""
    for count in (10, 100, 1000):
        spent, written = [], Written()
        running = _spec(count)
        for number in range(rounds):
            wanted = _heavier(running, number % 200 + 2)
            body = msgspec.json.encode(Assignment(fence=1, generation=number, spec=wanted))
            begin = time.thread_time()
            running = _change(running, body, written)
            spent.append((time.thread_time() - begin) * 1000)
        yield median(f"agent_cpu_per_member_change_{count}", spent, "ms", most=_MOST)


def whole(scene: Scene, *, rounds: int = 20) -> Iterator[Figure]:
    """CPU of all Livia processes, and time from PUT of a member to ACTIVE, with 10, 100 and 1,000 members; and what of
    the CPU grows with the members that stay as they are, which is to be no more than reading the spec once."""
    costs, read = {}, 0.0
    for count in (10, 100, 1000):
        load_balancer = scene.create_with_members("bench-change", count)
        pool = load_balancer["pools"][0]["id"]
        member = scene.api.get(f"/pools/{pool}/members?limit=1")["members"][0]["id"]
        change = partial(_reweigh, scene, load_balancer["id"], f"/pools/{pool}/members/{member}")
        elapsed = [change(number % 200 + 2) for number in range(rounds)]
        costs[count], at_rest = _spent(scene, change, rounds)
        read = _reading(scene, load_balancer["id"])
        scene.delete(load_balancer)
        yield Figure(
            name=f"livia_cpu_per_member_change_{count}",
            value=round(costs[count], 1),
            unit="ms",
            n=rounds,
            detail={"reading the spec once": round(read, 1), "at rest, % of a core": round(at_rest * 100, 1)},
            most=_MOST,
        )
        yield median(f"member_change_to_active_{count}", elapsed, "ms")
    growth = round(costs[1000] - costs[10], 1)
    yield Figure(name="livia_cpu_growth_from_10_to_1000", value=growth, unit="ms", n=rounds, most=round(read, 1))


def _reweigh(scene: Scene, key: str, member: str, weight: int, *, look_after: float = 0.0) -> float:
    """Give a member a weight; milliseconds until ACTIVE. `look_after`: seconds before the status is asked for."""
    started = time.monotonic()
    scene.api.put(member, {"member": {"weight": weight}})
    time.sleep(look_after)
    scene.api.wait_active(key)
    return (time.monotonic() - started) * 1000


def _spent(scene: Scene, change: Callable[..., float], rounds: int) -> tuple[float, float]:
    """ms of CPU of all processes for a change, and what they take without any, as a share of a core.

    Each change is over before its status is asked for: who waits longer would ask more often.
    """
    process = scene.livia.process
    assert process is not None
    before, begin = cpu_seconds(process.pid), time.monotonic()
    for number in range(rounds):
        change(number % 50 + 202, look_after=_ALONE)
    spent, seconds = cpu_seconds(process.pid) - before, time.monotonic() - begin
    time.sleep(1.0)
    before = cpu_seconds(process.pid)
    time.sleep(5.0)
    # Heartbeats and their reading go on without any change.
    at_rest = (cpu_seconds(process.pid) - before) / 5.0
    return (spent - at_rest * seconds) / rounds * 1000, at_rest


def _reading(scene: Scene, key: str, rounds: int = 10) -> float:
    """CPU milliseconds of loading a tree, building its spec, encoding and decoding it, once each."""
    database = scene.livia.installation.database()
    begin = time.thread_time()
    for _round in range(rounds):
        with database.read() as connection:
            tree = trees.load(connection, key)
        assert tree is not None
        spec = build(tree, tree.amphorae[0], (), 0.1)
        msgspec.json.decode(msgspec.json.encode(Assignment(fence=1, generation=1, spec=spec)), type=Assignment)
    return (time.thread_time() - begin) / rounds * 1000


def _change(running: Spec, body: bytes, written: Written) -> Spec:
    wanted = familiar(msgspec.json.decode(body, type=Assignment).spec, running)
    check(wanted, running)
    digest_of(canonical(wanted))
    render(wanted, Machine(connections=4000), written)
    # Twice, as the agent does: whether there is something to judge, and then to do it.
    steps = [plan(running, wanted, Surroundings()) for _ in range(2)]
    assert all(isinstance(step, AtRuntime) and len(step.commands) == 1 for step in steps)
    return wanted


def _heavier(spec: Spec, weight: int) -> Spec:
    pool = spec.pools[0]
    first, *others = pool.members
    return replace(spec, pools=(replace(pool, members=(replace(first, weight=weight), *others)),))


def _member(number: int) -> MemberSpec:
    return MemberSpec(
        id=f"{number:08x}-0000-4000-8000-000000000000",
        address=f"10.0.{number // 250}.{number % 250 + 1}",
        port=80,
        weight=1,
    )


def _spec(count: int) -> Spec:
    return Spec(
        amphora_id="amphora-1",
        load_balancer_id="lb-1",
        project_id="project-1",
        interfaces=(),
        vips=(),
        listeners=(
            ListenerSpec(
                id="listener-1",
                protocol=ListenerProtocol.HTTP,
                port=80,
                connection_limit=-1,
                default_pool_id="pool-1",
                insert_headers=(),
                allowed_cidrs=(),
                timeout_client_data=50000,
                timeout_member_connect=5000,
                timeout_member_data=50000,
                timeout_tcp_inspect=0,
            ),
        ),
        pools=(
            PoolSpec(
                id="pool-1",
                protocol=PoolProtocol.HTTP,
                algorithm=Algorithm.ROUND_ROBIN,
                monitor=MonitorSpec(type=MonitorType.TCP, delay=5, timeout=3, rise=2, fall=2),
                members=tuple(map(_member, range(count))),
            ),
        ),
    )
