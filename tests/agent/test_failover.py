"""Two amphorae share a VIP: whatever one of them loses, the other takes it. Bounds are generous; figures belong in
benchmarks."""

import time

from livia.agent.plumbing import kernel
from livia.core.model.pool import PersistenceType
from livia.core.report import Applied
from livia.core.spec import PersistenceSpec, Spec
from tests.agent.lab import VIP, Lab, end, member, monitor, pair, pool
from tests.waiting import wait_for

_BOUND = 20.0


def _serving_pair(lab: Lab) -> tuple[str, Spec, Spec]:
    lab.member("one", "172.31.213.11")
    client = lab.namespace("client", "172.31.213.100")
    sticky = PersistenceSpec(type=PersistenceType.SOURCE_IP)
    first, second = pair((pool(member(1), monitor=monitor(), persistence=sticky),))
    lab.apply(first)
    lab.apply(second)
    wait_for(lambda: lab.get(client, VIP) == (200, "one"), _BOUND)
    return client, first, second


def _holds(lab: Lab, spec: Spec) -> bool:
    answer = lab.request("GET", f"/v1/amphorae/{spec.amphora_id}").json()
    return bool(answer["holds_vip"])


def _await_service(lab: Lab, client: str) -> float:
    """Seconds until the VIP answers."""
    begin = time.monotonic()
    while lab.get(client, VIP) != (200, "one"):
        assert time.monotonic() - begin < _BOUND
    return time.monotonic() - begin


def test_one_of_a_pair_holds_the_vip(running: Lab) -> None:
    _client, first, second = _serving_pair(running)
    assert [_holds(running, first), _holds(running, second)].count(True) == 1


def test_the_other_serves_when_the_masters_namespace_vanishes(running: Lab) -> None:
    client, first, second = _serving_pair(running)
    master = first if _holds(running, first) else second
    running.fabric.unplug([running.names.port(master.interfaces[0].port_id)])
    _await_service(running, client)
    survivor = second if master is first else first
    assert _holds(running, survivor)


def test_the_vip_moves_when_haproxy_is_killed(running: Lab) -> None:
    client, first, second = _serving_pair(running)
    master, other = (first, second) if _holds(running, first) else (second, first)
    end(running.worker_pid(master.amphora_id))
    wait_for(lambda: _holds(running, other) and not _holds(running, master), _BOUND)
    _await_service(running, client)
    # s6 starts HAProxy again, and nopreempt leaves the VIP where it is.
    wait_for(lambda: running.request("GET", f"/v1/amphorae/{master.amphora_id}").json()["forwarding"], _BOUND)
    track = running.config.state_directory / "amphorae" / master.amphora_id / "track"
    wait_for(lambda: track.read_text().strip() == "0", _BOUND)
    assert _holds(running, other)
    end(running.worker_pid(other.amphora_id))
    wait_for(lambda: _holds(running, master), _BOUND)
    _await_service(running, client)


def test_a_killed_keepalived_leaves_no_vip_behind(running: Lab) -> None:
    client, first, second = _serving_pair(running)
    master, other = (first, second) if _holds(running, first) else (second, first)
    end(int((running.config.state_directory / "amphorae" / master.amphora_id / "k.pid").read_text()))
    wait_for(lambda: _holds(running, other) and not _holds(running, master), _BOUND)
    _await_service(running, client)


def test_changing_a_pair_keeps_the_vip_where_it_is(running: Lab) -> None:
    from msgspec.structs import replace

    from livia.core.spec import VipAddress

    _client, first, second = _serving_pair(running)
    held = _holds(running, first)
    for generation, spec in enumerate((first, second), 2):
        wider = replace(spec, vips=(*spec.vips, VipAddress(address="172.31.213.201", interface="eth0")))
        assert isinstance(running.put(wider, generation), Applied)
    wait_for(lambda: running.get(_client, "172.31.213.201") == (200, "one"), _BOUND)
    assert _holds(running, first) is held


def test_a_pair_that_loses_its_namespaces_is_rebuilt_by_put(running: Lab) -> None:
    client, first, second = _serving_pair(running)
    for spec in (first, second):
        kernel.delete(running.names.amphora(spec.amphora_id))
        running.fabric.unplug([running.names.port(spec.interfaces[0].port_id)])
    for spec in (first, second):
        assert isinstance(running.put(spec, 2), Applied)
    _await_service(running, client)
