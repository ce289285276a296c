"""Both IP versions, further networks and bandwidth limits, with real traffic through one agent."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from livia.agent.plumbing import kernel, segment
from livia.core.report import Refused
from livia.core.spec import (
    BandwidthLimit,
    Direction,
    Interface,
    InterfaceAddress,
    Peer,
    PoolSpec,
    Route,
    Spec,
    VipAddress,
)
from tests.agent.lab import VIP, Lab, member, pair, pool, single
from tests.agent.load import KeptLoad
from tests.waiting import wait_for

OTHER = "11111111-0000-4000-8000-000000000002"
REMOTE = "11111111-0000-4000-8000-000000000003"
VIP6 = "fd00:213::200"
_BOUND = 3.0


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Members `one` on both IP versions of the VIPs' network, `two` on another network, and `far` behind a router."""
    lab = Lab(tmp_path_factory.mktemp("networks"))
    try:
        lab.start()
        one = lab.member("one", "172.31.213.11")
        _add(one, "fd00:213::11/64")
        two = lab.namespace("two", "172.31.214.11", OTHER)
        _add(two, "fd00:214::11/64")
        lab.serve(two, "two")
        wait_for(lambda: lab.get(two, "172.31.214.11") == (200, "two"))
        _make_remote(lab)
        yield lab
    finally:
        lab.close()


def _make_remote(lab: Lab) -> None:
    far = lab.namespace("far", "172.31.215.11", REMOTE)
    lab.serve(far, "far")
    router = lab.namespace("router", "172.31.213.1")
    segment.plug_namespace(
        lab.fabric, REMOTE, router, mac="02:77:00:00:02:01", addresses=("172.31.215.1/24",), interface="eth1"
    )
    kernel.inside(router, lambda: kernel.write_sysctls([("ipv4/ip_forward", "1")]))
    kernel.batch(far, ["route add default via 172.31.215.1"])
    wait_for(lambda: lab.get(far, "172.31.215.11") == (200, "far"))


@pytest.fixture(scope="module")
def client(stage: Lab) -> str:
    """Speaks both IP versions."""
    namespace = stage.namespace("client", "172.31.213.100")
    _add(namespace, "fd00:213::100/64")
    return namespace


def _add(namespace: str, address: str) -> None:
    kernel.batch(namespace, [f"address add {address} dev eth0 nodad"])


ONE, ONE6 = member(1), member(2, address="fd00:213::11")
TWO, TWO6 = member(3, address="172.31.214.11"), member(4, address="fd00:214::11")
FAR = member(5, address="172.31.215.11")


def _dual(spec: Spec) -> Spec:
    """The same, and on IPv6."""
    (interface,) = spec.interfaces
    number = interface.addresses[0].address.partition("/")[0].rpartition(".")[2]
    both = (*interface.addresses, InterfaceAddress(address=f"fd00:213::{number}/64"))
    gateway6 = Route(destination="::/0", nexthop="fd00:213::1")
    return replace(
        spec,
        interfaces=(replace(interface, addresses=both, routes=(gateway6,)),),
        vips=(*spec.vips, VipAddress(address=VIP6, interface="eth0")),
    )


def _on_ipv6_first(spec: Spec) -> Spec:
    """The same, with VRRP and peers on IPv6, where the first VIP is."""
    assert spec.vrrp is not None
    number = spec.vrrp.source.rpartition(".")[2]
    peer = spec.vrrp.peers[0].rpartition(".")[2]
    dual = _dual(spec)
    return replace(
        dual,
        vips=dual.vips[::-1],
        vrrp=replace(spec.vrrp, source=f"fd00:213::{number}", peers=(f"fd00:213::{peer}",)),
        peers=tuple(Peer(amphora_id=f"amphora-{each}", address=f"fd00:213::{each}") for each in (5, 6)),
    )


def _member_interface(name: str, address: str) -> Interface:
    number = int(name[-2:], 16)
    return Interface(
        name=name,
        mac=f"02:77:00:02:00:{number:02x}",
        mtu=1500,
        network_id=OTHER,
        port_id=f"port-{name}",
        addresses=(InterfaceAddress(address=address),),
    )


_MEMBER4 = _member_interface("m0000000000b1", "172.31.214.5/24")
_MEMBER6 = _member_interface("m0000000000a2", "fd00:214::5/64")


def _amphora(lab: Lab, pools: tuple[PoolSpec, ...], *further: Interface) -> Spec:
    spec = _dual(single(pools))
    return replace(spec, interfaces=(*spec.interfaces, *further))


@pytest.fixture
def gone(stage: Lab) -> Iterator[list[Spec]]:
    """Amphorae that the test leaves behind."""
    made: list[Spec] = []
    yield made
    for spec in made:
        assert stage.remove(spec.amphora_id) in (200, 204)


def _indexes(lab: Lab, spec: Spec) -> dict[str, int]:
    """Each interface of the amphora with the kernel's number for it, that a re-made one does not get again."""
    listed = json.loads(kernel.ip(["-n", lab.names.amphora(spec.amphora_id), "-j", "link", "show"]))
    return {link["ifname"]: link["ifindex"] for link in listed if link["ifname"] != "lo"}


def _answers(lab: Lab, client: str, address: str, times: int = 6) -> set[tuple[int, str]]:
    return {lab.get(client, address) for _time in range(times)}


def test_both_ip_versions_at_once(stage: Lab, client: str, gone: list[Spec]) -> None:
    spec = _amphora(stage, (pool(ONE, ONE6),))
    gone.append(spec)
    stage.apply(spec)
    # The first packets: nothing waits for duplicate address detection.
    assert stage.get(client, VIP6) == (200, "one")
    assert stage.get(client, VIP) == (200, "one")
    for address in (ONE.address, ONE6.address):
        stage.apply(replace(spec, pools=(pool(member(9, address=address)),)), 2)
        assert _answers(stage, client, VIP) == _answers(stage, client, VIP6) == {(200, "one")}


def test_networks_of_members_come_and_go_beside_traffic(stage: Lab, client: str, gone: list[Spec]) -> None:
    spec = _amphora(stage, (pool(ONE),))
    gone.append(spec)
    stage.apply(spec)
    process, before = stage.worker_pid(spec.amphora_id), _indexes(stage, spec)
    steps = (
        _amphora(stage, (pool(ONE, TWO),), _MEMBER4),
        # A name that sorts before the others moves none of them.
        _amphora(stage, (pool(ONE, TWO, TWO6),), _MEMBER6, _MEMBER4),
        _amphora(stage, (pool(ONE, TWO6),), _MEMBER6),
        spec,
    )
    with KeptLoad(client, VIP) as load, KeptLoad(client, VIP6) as load6:
        plugged: dict[str, int] = before
        for number, step in enumerate(steps, 2):
            stage.apply(step, number)
            now = _indexes(stage, step)
            assert set(now) == {interface.name for interface in step.interfaces}
            assert all(now[name] == plugged[name] for name in now.keys() & plugged.keys())
            plugged = now
            wanted = {"one", "two"} if len(step.interfaces) > 1 else {"one"}
            # The load beside takes turns, too: of six answers all may be of one member.
            assert {text for _status, text in _answers(stage, client, VIP, times=60)} == wanted
    assert (load.failures, load6.failures) == ([], [])
    assert stage.worker_pid(spec.amphora_id) == process
    assert stage.names.port(_MEMBER4.port_id) not in stage.fabric.links()


def test_a_member_without_a_port_is_reached_through_the_default_route(
    stage: Lab, client: str, gone: list[Spec]
) -> None:
    spec = _amphora(stage, (pool(FAR),))
    gone.append(spec)
    stage.apply(spec)
    assert stage.get(client, VIP) == (200, "far")


@pytest.mark.parametrize("first_version", [4, 6])
def test_a_failover_moves_both_ip_versions(stage: Lab, client: str, gone: list[Spec], first_version: int) -> None:
    prepare = _dual if first_version == 4 else _on_ipv6_first
    specs = [prepare(each) for each in pair((pool(ONE, ONE6),))]
    for spec in specs:
        gone.append(spec)
        stage.apply(spec)
    for vip in (VIP, VIP6):
        wait_for(lambda vip=vip: stage.get(client, vip) == (200, "one"), _BOUND)  # type: ignore[misc]
    master = next(each for each in specs if _holds(stage, each))
    (survivor,) = (each for each in specs if each is not master)
    stage.fabric.unplug([stage.names.port(master.interfaces[0].port_id)])
    for vip in (VIP, VIP6):
        wait_for(lambda vip=vip: stage.get(client, vip) == (200, "one"), _BOUND)  # type: ignore[misc]
    assert _holds(stage, survivor)


def _holds(lab: Lab, spec: Spec) -> bool:
    return bool(lab.request("GET", f"/v1/amphorae/{spec.amphora_id}").json()["holds_vip"])


def _limited(spec: Spec, *limits: BandwidthLimit) -> Spec:
    (interface,) = spec.interfaces
    return replace(spec, interfaces=(replace(interface, limits=limits),))


def _limit(direction: Direction, kbps: int) -> BandwidthLimit:
    return BandwidthLimit(direction=direction, kbps=kbps, burst_kb=80)


def _counted(lab: Lab, spec: Spec) -> list[int]:
    """Bytes that went through the limit of each direction, where there is or was one."""
    inner = lab.names.port(spec.interfaces[0].port_id)
    devices = ((lab.names.amphora(spec.amphora_id), "eth0"), (lab.fabric.namespace, inner))
    queues = [each for device in devices for each in json.loads(kernel.show_queues(*device))]
    return [queue["bytes"] for queue in queues if queue["kind"] == "bfifo"]


def _seconds(lab: Lab, client: str, address: str, size: int) -> float:
    begin = time.monotonic()
    status, body = lab.get(client, address, f"/bytes/{size}")
    assert (status, len(body)) == (200, size)
    return time.monotonic() - begin


def test_a_limit_holds_for_both_ip_versions_and_changes_without_a_reload(
    stage: Lab, client: str, gone: list[Spec]
) -> None:
    spec = _amphora(stage, (pool(ONE),))
    gone.append(spec)
    slow = _limited(spec, _limit(Direction.EGRESS, 2000))
    stage.apply(slow)
    process = stage.worker_pid(spec.amphora_id)
    for vip in (VIP, VIP6):
        # 200 kB at 250 kB/s: all but the burst of 10 kB and the last packet, of up to 64 kB, has to wait.
        assert _seconds(stage, client, vip, 200_000) >= 0.4
    assert _counted(stage, slow)[0] >= 400_000
    both = _limited(spec, _limit(Direction.EGRESS, 1_000_000), _limit(Direction.INGRESS, 50_000))
    stage.apply(both, 2)
    _seconds(stage, client, VIP, 200_000)
    counted = _counted(stage, both)
    assert len(counted) == 2
    # What is limited is what has to do with the VIP: requests arrive, and nothing of what the member sends.
    assert 0 < counted[1] < 100_000
    stage.apply(spec, 3)
    # The queues stay, for what waits in them, and nothing more goes there.
    lifted = _counted(stage, spec)
    assert stage.worker_pid(spec.amphora_id) == process
    assert stage.get(client, VIP6) == (200, "one")
    assert _counted(stage, spec) == lifted


def test_limits_that_cannot_be(stage: Lab) -> None:
    spec = _amphora(stage, (pool(ONE),))
    twice = _limited(spec, _limit(Direction.EGRESS, 1), _limit(Direction.EGRESS, 2))
    for wrong in (twice, _limited(spec, _limit(Direction.INGRESS, 0))):
        answer = stage.put(wrong)
        assert isinstance(answer, Refused)
        assert answer.code == "invalid_spec"
    assert not Path("/run/netns", stage.names.amphora(spec.amphora_id)).exists()
