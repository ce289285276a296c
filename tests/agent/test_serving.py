"""An amphora serves, changes while it serves, and leaves nothing when it goes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import pytest
from msgspec.structs import replace

from livia.agent.plumbing import kernel, segment
from livia.core.model.listener import ListenerProtocol
from livia.core.model.pool import Algorithm, MonitorType, PersistenceType, PoolProtocol
from livia.core.report import Applied, Refused
from livia.core.spec import PersistenceSpec, Spec, VipAddress
from tests.agent.exchange import fetch
from tests.agent.lab import NETWORK, VIP, Lab, listener, member, monitor, pool, processes_in, single
from tests.agent.load import KeptLoad
from tests.waiting import wait_for


def _two_members(lab: Lab) -> str:
    lab.member("one", "172.31.213.11")
    lab.member("two", "172.31.213.12")
    return lab.namespace("client", "172.31.213.100")


def test_a_new_amphora_serves_at_once(running: Lab) -> None:
    client = _two_members(running)
    applied = running.apply(single((pool(member(1), member(2), monitor=monitor()),)))
    assert (applied.holds_vip, applied.forwarding) == (True, True)
    assert {running.get(client, VIP)[1] for _ in range(4)} == {"one", "two"}


def test_the_host_reaches_a_vip_through_its_own_port(running: Lab) -> None:
    running.member("one", "172.31.213.11")
    running.apply(single((pool(member(1)),)))
    segment.attach_host(running.fabric, NETWORK, "172.31.213.1/24")
    segment.attach_host(running.fabric, NETWORK, "172.31.213.1/24")
    assert fetch(VIP) == (200, "one")
    segment.detach_host(running.fabric, NETWORK)
    assert fetch(VIP) != (200, "one")


def test_a_listener_without_pool_answers_503(running: Lab) -> None:
    client = running.namespace("client", "172.31.213.100")
    running.apply(single((), (listener(default_pool_id=None),)))
    assert running.get(client, VIP)[0] == 503


def test_an_amphora_without_listeners_holds_its_vip(running: Lab) -> None:
    assert running.apply(single((), ())).holds_vip
    beat = running.hear(lambda beat: bool(beat["id"] == "amphora-5"))
    assert (beat["listeners"], beat["pools"], beat["holds_vip"]) == ({}, {}, True)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda spec: _members(spec, member(1)), id="remove"),
        pytest.param(lambda spec: _members(spec, member(1), member(2), member(3, address="172.31.213.12")), id="add"),
        pytest.param(lambda spec: _members(spec, member(1, weight=0), member(2, weight=7)), id="drain"),
        pytest.param(lambda spec: _members(spec, member(1, enabled=False), member(2)), id="disable"),
        pytest.param(lambda spec: _members(spec, member(1, address="172.31.213.12"), member(2)), id="move"),
    ],
)
def test_members_change_under_load_without_reload_or_failure(running: Lab, change: Callable[[Spec], Spec]) -> None:
    client = _two_members(running)
    spec = single((pool(member(1), member(2), monitor=monitor()),))
    running.apply(spec)
    worker = running.worker_pid(spec.amphora_id)
    with KeptLoad(client, VIP) as load, KeptLoad(client, VIP, "/slow") as slow:
        for generation in range(2, 8):
            running.apply(change(spec) if generation % 2 == 0 else spec, generation)
    assert (load.failures, slow.failures) == ([], [])
    assert running.worker_pid(spec.amphora_id) == worker


def _members(spec: Spec, *members: object) -> Spec:
    return replace(spec, pools=(replace(spec.pools[0], members=members),))


def test_a_removed_member_gets_nothing_more_but_finishes(running: Lab) -> None:
    client = _two_members(running)
    spec = single((pool(member(1), member(2)),))
    running.apply(spec)
    finished: list[tuple[int, str]] = []
    threads = [Thread(target=lambda: finished.append(running.get(client, VIP, "/slow"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_for(lambda: _current(running, spec) == 4)
    running.apply(_members(spec, member(1)), 2)
    assert {running.get(client, VIP)[1] for _ in range(6)} == {"one"}
    for thread in threads:
        thread.join()
    assert sorted(finished) == [(200, "one"), (200, "one"), (200, "two"), (200, "two")]
    wait_for(lambda: "m2" not in _servers(running, spec), 30)
    # It comes back under its old name.
    running.apply(spec, 3)
    assert {running.get(client, VIP)[1] for _ in range(4)} == {"one", "two"}


def _servers(lab: Lab, spec: Spec) -> str:
    from livia.agent.haproxy.runtime import Worker

    return Worker(lab.config.state_directory / "amphorae" / spec.amphora_id).ask("show servers state")


def _current(lab: Lab, spec: Spec) -> int:
    from livia.agent.haproxy.runtime import Worker
    from livia.agent.haproxy.statistics import parse

    text = Worker(lab.config.state_directory / "amphorae" / spec.amphora_id).ask("show info;show stat")
    return parse(text).connections["listener-1"]


def test_other_changes_reload_without_a_failure(running: Lab) -> None:
    client = _two_members(running)
    spec = single((pool(member(1), member(2), monitor=monitor()),))
    running.apply(spec)
    worker = running.worker_pid(spec.amphora_id)
    with KeptLoad(client, VIP) as load, KeptLoad(client, VIP) as other:
        for generation in range(2, 10):
            changed = listener(timeout_client_data=40000 + generation)
            running.apply(replace(spec, listeners=(changed,)), generation)
    assert (load.failures, other.failures) == ([], [])
    assert running.worker_pid(spec.amphora_id) != worker


def test_interfaces_addresses_and_vips_follow_the_spec(running: Lab) -> None:
    client = _two_members(running)
    spec = single((pool(member(1)),))
    running.apply(spec)
    wider = replace(spec, vips=(*spec.vips, VipAddress(address="172.31.213.201", interface="eth0")))
    running.apply(wider, 2)
    assert running.get(client, "172.31.213.201") == (200, "one")
    running.apply(spec, 3)
    assert running.get(client, VIP) == (200, "one")
    assert running.get(client, "172.31.213.201") == (0, "")


def test_headers_are_set_whatever_the_client_sent(running: Lab) -> None:
    client = _two_members(running)
    names = ("X-Client-IP", "X-Forwarded-For", "X-Forwarded-IP", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Real-IP")
    running.apply(single((pool(member(1)),), (listener(insert_headers=names),)))
    _status, text = running.get(client, VIP, "/echo", headers={"X-Forwarded-For": "6.6.6.6"})
    seen = dict(line.lower().split(": ", 1) for line in text.splitlines()[1:])
    for name in ("x-client-ip", "x-forwarded-for", "x-forwarded-ip", "x-real-ip"):
        assert seen[name] == "172.31.213.100"
    assert (seen["x-forwarded-port"], seen["x-forwarded-proto"]) == ("80", "http")


def test_only_allowed_clients_get_in(running: Lab) -> None:
    client = _two_members(running)
    running.apply(single((pool(member(1)),), (listener(allowed_cidrs=("172.30.0.0/16",)),)))
    assert running.get(client, VIP)[0] == 0
    running.apply(single((pool(member(1)),), (listener(allowed_cidrs=("172.31.213.96/28",)),)), 2)
    assert running.get(client, VIP)[0] == 200


@pytest.mark.parametrize("protocol", [PoolProtocol.TCP, PoolProtocol.HTTP])
def test_tcp_with_source_persistence(running: Lab, protocol: PoolProtocol) -> None:
    client = _two_members(running)
    sticky = pool(member(1), member(2), protocol=protocol, persistence=PersistenceSpec(type=PersistenceType.SOURCE_IP))
    running.apply(single((sticky,), (listener(protocol=ListenerProtocol.TCP),)))
    assert len({running.get(client, VIP)[1] for _ in range(6)}) == 1


def test_a_cookie_keeps_a_client_at_its_member(running: Lab) -> None:
    client = _two_members(running)
    spec = single((pool(member(1), persistence=PersistenceSpec(type=PersistenceType.HTTP_COOKIE)),))
    running.apply(spec)
    running.apply(_members(spec, member(1), member(2)), 2)
    assert {running.get(client, VIP, headers={"Cookie": "SRV=m2"})[1] for _ in range(4)} == {"two"}


def test_a_dead_member_is_told_of_and_avoided(running: Lab) -> None:
    client = _two_members(running)
    running.apply(single((pool(member(1), member(9, monitor_port=81), monitor=monitor()),)))
    name = "pool-1:listener-1"
    beat = running.hear(lambda beat: beat.get("pools", {}).get(name, {}).get("members", {}).get("m9") == "DOWN")
    assert (beat["pools"][name]["status"], beat["pools"][name]["members"]["m1"]) == ("UP", "UP")
    assert {running.get(client, VIP)[1] for _ in range(4)} == {"one"}


def test_counters_are_exact_across_reloads(running: Lab) -> None:
    client = _two_members(running)
    spec = single((pool(member(1), member(2)),))
    running.apply(spec)
    for generation in range(2, 5):
        for _ in range(5):
            running.get(client, VIP)
        changed = listener(timeout_client_data=40000 + generation)
        running.apply(replace(spec, listeners=(changed,)), generation)
    total = 0

    def all_told(beat: dict[str, object]) -> bool:
        nonlocal total
        listeners = beat["listeners"]
        if isinstance(listeners, dict) and "listener-1" in listeners:
            total += listeners["listener-1"]["stats"]["totconns"]
        return total >= 15

    running.hear(all_told)
    assert total == 15


def test_deletion_leaves_nothing(running: Lab) -> None:
    _two_members(running)
    spec = single((pool(member(1), monitor=monitor()),))
    running.apply(spec)
    directory = running.config.state_directory / "amphorae" / spec.amphora_id
    namespace = running.names.amphora(spec.amphora_id)
    for _ in range(2):
        assert running.remove(spec.amphora_id) == 204
    assert not directory.exists()
    assert not kernel.exists(namespace)
    assert running.names.port("port-5") not in running.fabric.links()
    assert processes_in(namespace) == []
    assert processes_in(str(directory)) == []
    assert running.request("GET", f"/v1/amphorae/{spec.amphora_id}").status == 404


def test_an_older_fence_is_refused_and_after_removal_its_own_too(running: Lab) -> None:
    spec = single((), ())
    assert isinstance(running.put(spec, generation=1, fence=7), Applied)
    for fence in (6, 6, 7):
        answer = running.put(spec, generation=2, fence=fence)
        assert isinstance(answer, Refused)
        assert answer.code == "stale_fence"
        for _ in range(2):
            assert running.request("DELETE", f"/v1/amphorae/{spec.amphora_id}?fence=7").status == 204
    assert isinstance(running.put(spec, generation=2, fence=8), Applied)


def test_changes_that_wait_for_a_removal_do_not_undo_it(running: Lab) -> None:
    spec = single((), ())
    path = f"/v1/amphorae/{spec.amphora_id}"
    for fence in range(1, 11):
        assert isinstance(running.put(spec, generation=1, fence=fence), Applied)
        with ThreadPoolExecutor(5) as hands:
            late = [hands.submit(running.put, spec, generation, fence) for generation in (2, 3)]
            removal = hands.submit(running.request, "DELETE", f"{path}?fence={fence}")
            late += [hands.submit(running.put, spec, generation, fence) for generation in (4, 5)]
        assert removal.result().status == 204
        assert {type(each.result()) for each in late} <= {Applied, Refused}
        assert running.request("GET", path).status == 404


def test_an_impossible_spec_is_refused_by_name(running: Lab) -> None:
    spec = single((pool(member(1)),), (listener(protocol=ListenerProtocol.PROMETHEUS),))
    answer = running.put(spec)
    assert isinstance(answer, Refused)
    assert (answer.code, "PROMETHEUS" in answer.message) == ("invalid_spec", True)
    answer = running.put(replace(single((), ()), version=99))
    assert isinstance(answer, Refused)
    assert answer.code == "invalid_spec"


def test_every_algorithm_and_monitor_is_taken_by_haproxy(running: Lab) -> None:
    pools, listeners = [], []
    for number, (algorithm, kind) in enumerate(
        (algorithm, kind)
        for algorithm in (Algorithm.ROUND_ROBIN, Algorithm.LEAST_CONNECTIONS, Algorithm.SOURCE_IP)
        for kind in (MonitorType.HTTP, MonitorType.HTTPS, MonitorType.TCP, MonitorType.TLS_HELLO)
    ):
        check = monitor(type=kind, http_version=1.1, domain_name="a.example", expected_codes="200-204")
        pools.append(pool(member(1), id=f"pool-{number}", algorithm=algorithm, monitor=check))
        listeners.append(listener(id=f"l{number}", port=8000 + number, default_pool_id=f"pool-{number}"))
    spec = single(tuple(pools), tuple(listeners))
    running.apply(spec)
    worker = running.worker_pid(spec.amphora_id)
    grown = tuple(replace(each, members=(member(1), member(2, address="fd00::2"))) for each in pools)
    running.apply(replace(spec, pools=grown), 2)
    assert running.worker_pid(spec.amphora_id) == worker
