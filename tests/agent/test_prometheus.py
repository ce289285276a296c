"""A tenant's Prometheus at a PROMETHEUS listener: real scrapes through the VIP, read by prometheus_client's parser."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livia.agent.acceptance import check
from livia.agent.errors import InvalidSpecError
from livia.agent.haproxy.master import Master
from livia.agent.haproxy.render import Machine, render
from livia.agent.plumbing import kernel
from livia.agent.prometheus.translation import Translation, exposed
from livia.agent.prometheus.usage import Usage
from livia.core.model.l7 import Action
from livia.core.model.listener import ListenerProtocol
from livia.core.model.pool import PoolProtocol
from livia.core.spec import ListenerSpec, PolicySpec, Spec
from tests.agent.lab import VIP, Lab, listener, member, monitor, pool, single
from tests.agent.members import Response, ask, connect, request
from tests.agent.tenant_metrics import EXPECTED, Samples, of, read
from tests.agent.tls_site import termination
from tests.keymaterial import WEB
from tests.waiting import wait_for

PORT = 9100
WEB_TEXT = WEB.text()


def scraper(**changes: object) -> ListenerSpec:
    values: dict[str, object] = {
        "id": "scraped",
        "protocol": ListenerProtocol.PROMETHEUS,
        "port": PORT,
        "default_pool_id": None,
    }
    return listener(**(values | changes))


class Scene:
    """An agent in a process of its own, two web servers and a client."""

    def __init__(self, directory: Path) -> None:
        self.lab = Lab(directory)
        self.lab.spawn()
        self.lab.member("one", "172.31.213.11")
        self.lab.member("two", "172.31.213.12")
        self.client = self.lab.namespace("client", "172.31.213.100")
        self.directory = self.lab.config.state_directory / "amphorae" / "amphora-5"
        self._generation = 0

    def apply(self, spec: Spec, *texts: str) -> None:
        self._generation += 1
        self.lab.apply(spec, self._generation, texts)

    def ask(self, target: str = "/metrics", *, method: str = "GET", port: int = PORT) -> Response:
        return ask(self.client, VIP, port, method=method, target=target)

    def scrape(self) -> Samples:
        answer = self.ask()
        assert answer.status == 200, answer
        return read(answer.body.decode())


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    made = Scene(tmp_path_factory.mktemp("prometheus"))
    try:
        yield made
    finally:
        made.lab.close()


def web(*others: ListenerSpec, **changes: object) -> Spec:
    """An HTTP listener with a monitored member, a TCP one on the same pool, and what is given."""
    watched = pool(member(1), member(2), monitor=monitor(), **changes)
    return single((watched,), (listener(), listener(id="raw", protocol=ListenerProtocol.TCP, port=81), *others))


def test_every_metric_of_the_contract_is_there_and_no_other(scene: Scene) -> None:
    scene.apply(web(scraper()))
    answer = scene.ask()
    assert answer.headers["content-type"] == "text/plain; version=0.0.4"
    text = answer.body.decode()
    labels: dict[str, set[frozenset[str]]] = {}
    for name, pairs in read(text):
        labels.setdefault(name, set()).add(frozenset(dict(pairs)) - {"state", "code"})
    assert labels == {name: {of_metric} for name, of_metric in EXPECTED.items()}
    assert re.findall(r"^octavia_loadbalancer_(?:cpu|memory) [0-9]{1,2}\.[0-9]$", text, re.MULTILINE) != []
    assert not re.search(r"haproxy_|exporter|proxy=|server=|twin", text)
    # HELP and TYPE come once, before the samples.
    heads = re.findall(r"^# (HELP|TYPE) (\S+)", text, re.MULTILINE)
    assert len(heads) == len(set(heads)) == 2 * len(EXPECTED)


def test_only_what_is_the_tenants_is_named(scene: Scene) -> None:
    scene.apply(web(scraper()))
    seen = [dict(pairs) for _name, pairs in scene.scrape()]
    assert {pairs["listener"] for pairs in seen if "listener" in pairs} == {"listener-1", "raw", "scraped"}
    assert {pairs["pool"] for pairs in seen if "pool" in pairs} == {"pool-1:listener-1", "pool-1:raw"}
    assert {pairs["member"] for pairs in seen if "member" in pairs} == {"m1", "m2"}


def test_values_are_those_of_the_traffic(scene: Scene) -> None:
    scene.apply(web(scraper(connection_limit=77)))
    before = scene.scrape()
    for _request in range(6):
        assert scene.ask("/bytes/1000", port=80).status == 200

    def added(name: str, **labels: str) -> float:
        return after[name, of(**labels)] - before[name, of(**labels)]

    def settled() -> bool:
        after.update(scene.scrape())
        return added("octavia_listener_http_responses_total", listener="listener-1", code="2xx") == 6

    after: Samples = {}
    wait_for(settled)
    one, both = "pool-1:listener-1", ("m1", "m2")
    assert added("octavia_listener_http_requests_total", listener="listener-1") == 6
    assert added("octavia_pool_http_responses_total", pool=one, code="2xx") == 6
    assert [added("octavia_member_http_responses_total", pool=one, member=each, code="2xx") for each in both] == [3, 3]
    assert added("octavia_pool_bytes_out_total", pool=one) > 6000
    assert added("octavia_member_sessions_total", pool="pool-1:raw", member="m1") == 0
    assert added("octavia_listener_http_requests_total", listener="scraped") >= 1
    assert after["octavia_member_status", of(pool=one, member="m1", state="UP")] == 1
    assert after["octavia_pool_active_members", of(pool=one)] == 2
    assert after["octavia_listener_limit_sessions", of(listener="scraped")] == 77


def test_only_metrics_are_told_and_only_to_those_who_read(scene: Scene) -> None:
    scene.apply(web(scraper()))
    for target in ("/", "/metrics/", "/metrics2", "/stats"):
        assert scene.ask(target).status == 404
    # A question's parameters are no way to HAProxy's own.
    assert "haproxy_" not in scene.ask("/metrics?scope=*").body.decode()
    refused = scene.ask(method="POST")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
    asked = scene.ask(method="HEAD")
    assert (asked.status, asked.headers["content-type"], asked.body) == (200, "text/plain; version=0.0.4", b"")


def test_metrics_come_over_tls(scene: Scene) -> None:
    scene.apply(web(scraper(tls=termination(WEB_TEXT))), WEB_TEXT)
    printed = subprocess.run(
        ["nsenter", f"--net=/run/netns/{scene.client}", "curl", "-sk", f"https://{VIP}:{PORT}/metrics"],
        check=True,
        capture_output=True,
        text=True,
        timeout=20,
    ).stdout
    assert {name for name, _labels in read(printed)} == set(EXPECTED)


def test_allowed_cidrs_hold(scene: Scene) -> None:
    scene.apply(web(scraper(allowed_cidrs=("192.0.2.0/24",))))
    with pytest.raises((TimeoutError, ConnectionError)):
        connect(scene.client, VIP, PORT, timeout=0.5)
    scene.apply(web(scraper(allowed_cidrs=("192.0.2.0/24", "172.31.213.0/24"))))
    assert scene.ask().status == 200


def test_a_load_balancer_of_nothing_else_tells_of_itself(scene: Scene) -> None:
    datagrams = listener(id="datagrams", protocol=ListenerProtocol.UDP, port=53)
    others = ((), (datagrams,))
    for each in others:
        scene.apply(single((pool(member(1), protocol=PoolProtocol.UDP),), (*each, scraper())))
        seen = [dict(pairs) for _name, pairs in scene.scrape()]
        assert {pairs["listener"] for pairs in seen if "listener" in pairs} == {"scraped"}
        assert not any("pool" in pairs for pairs in seen)
    beat = scene.lab.hear(lambda beat: "scraped" in beat["listeners"])
    assert beat["listeners"]["scraped"]["status"] == "OPEN"
    scene.lab.hear(lambda beat: beat.get("totals", {}).get("scraped", {}).get("totconns", 0) >= len(others))


def test_a_member_that_is_replaced_is_told_once(scene: Scene) -> None:
    spec = single((pool(member(1), member(2)),), (listener(), scraper()))
    scene.apply(spec)
    waiting = [connect(scene.client, VIP, 80) for _each in range(2)]
    try:
        for stream in waiting:
            # Both members have a request that takes a while, and so both servers stay for as long.
            stream.socket.sendall(request(target="/slow"))
        scene.apply(single((pool(member(1), member(2, backup=True)),), (listener(), scraper())))
        seen = scene.scrape()
        # The twin's word counts: the server that it stands in for is in maintenance until its request is answered.
        assert seen["octavia_member_status", of(pool="pool-1:listener-1", member="m2", state="MAINT")] == 0
        for _look in range(5):
            seen = scene.scrape()
            members = {dict(pairs)["member"] for name, pairs in seen if name == "octavia_member_weight"}
            assert members == {"m1", "m2"}
        for stream in waiting:
            assert stream.until(b"\r\n").startswith(b"HTTP/1.1 200")
    finally:
        for stream in waiting:
            stream.socket.close()


def test_the_listener_comes_with_one_reload_and_others_pay_nothing(scene: Scene) -> None:
    scene.apply(web())
    assert "exporter" not in (scene.directory / "haproxy.cfg").read_text()
    master = Master(scene.directory)
    before = master.processes().reloads
    scene.apply(web(scraper()))
    assert master.processes().reloads == before + 1
    assert scene.ask().status == 200
    assert "exporter" not in render(web(), Machine(connections=100))


def test_without_its_agent_a_scrape_fails_and_nothing_else(scene: Scene) -> None:
    scene.apply(web(scraper()))
    assert scene.ask().status == 200
    worker = scene.lab.worker_pid("amphora-5")
    scene.lab.kill()
    try:
        assert scene.ask().status == 503
        assert scene.ask(port=80).status == 200
        assert scene.ask("/").status == 404
    finally:
        scene.lab.spawn()
    assert scene.ask().status == 200
    assert scene.lab.worker_pid("amphora-5") == worker


def test_a_silent_exporter_is_a_bad_gateway(scene: Scene) -> None:
    scene.apply(web(scraper()))
    (scene.directory / "e.sock").unlink()
    try:
        assert (scene.ask().status, scene.ask(port=80).status) == (502, 200)
        assert scene.ask(method="HEAD").status == 502
    finally:
        scene.apply(web())
        scene.apply(web(scraper()))
    assert scene.ask().status == 200


def test_many_members_and_slow_readers_hinder_nobody(scene: Scene) -> None:
    members = tuple(member(1, id=f"m{number}", address=f"172.31.213.{10 + number % 2}") for number in range(300))
    scene.apply(single((pool(*members),), (listener(), scraper())))
    idle = [connect(scene.client, VIP, PORT) for _each in range(3)]
    try:
        for stream in idle:
            # They read nothing of what they ask for.
            stream.socket.sendall(request(target="/metrics"))
        seen = scene.scrape()
        assert len([name for name, _labels in seen if name == "octavia_member_weight"]) == 300
        namespace = scene.lab.names.amphora("amphora-5")
        assert scene.lab.remove("amphora-5") == 204
        assert not kernel.exists(namespace)
    finally:
        for stream in idle:
            stream.socket.close()
    # Nobody holds the socket of the namespace that is gone.
    scene.apply(web(scraper()))
    assert scene.ask().status == 200


_REFUSED = {
    "a pool": scraper(default_pool_id="pool-1"),
    "policies": scraper(policies=(PolicySpec(id="p", action=Action.REJECT, rules=()),)),
}


@pytest.mark.parametrize("what", _REFUSED)
def test_it_has_nothing_below_it(what: str) -> None:
    with pytest.raises(InvalidSpecError, match="answers by itself"):
        check(single((pool(member(1)),), (_REFUSED[what],)))


_TEXT = b"""# HELP haproxy_process_requests_total Requests.
# TYPE haproxy_process_requests_total counter
haproxy_process_requests_total 7
# HELP haproxy_process_uptime_seconds Not the tenant's.
# TYPE haproxy_process_uptime_seconds gauge
haproxy_process_uptime_seconds 3
# HELP haproxy_server_weight Weight.
# TYPE haproxy_server_weight gauge
haproxy_server_weight{proxy="pool-1:listener-1",server="m1"} 1
haproxy_server_weight{proxy="pool-1:listener-1",server="m1:twin"} 2
haproxy_server_weight{proxy="pool-1:listener-1",server="m2"} 3
haproxy_server_weight{proxy="pool-1:listener-1",server="m3"} 4
haproxy_server_weight{proxy="prometheus-exporter-internal",server="agent"} 5
# HELP haproxy_frontend_http_responses_total Answers.
# TYPE haproxy_frontend_http_responses_total counter
haproxy_frontend_http_responses_total{proxy="listener-1",code="2xx"} 9
haproxy_frontend_http_responses_total{proxy="prometheus-exporter-internal-endpoint",code="2xx"} 8
# HELP haproxy_backend_active_servers All of them strangers'.
# TYPE haproxy_backend_active_servers gauge
haproxy_backend_active_servers{proxy="prometheus-exporter-internal"} 1
"""
_TRANSLATED = b"""# HELP octavia_loadbalancer_requests_total Requests.
# TYPE octavia_loadbalancer_requests_total counter
octavia_loadbalancer_requests_total 7
# HELP octavia_member_weight Weight.
# TYPE octavia_member_weight gauge
octavia_member_weight{pool="pool-1:listener-1",member="m1"} 2
octavia_member_weight{pool="pool-1:listener-1",member="m2"} 3
# HELP octavia_listener_http_responses_total Answers.
# TYPE octavia_listener_http_responses_total counter
octavia_listener_http_responses_total{listener="listener-1",code="2xx"} 9
"""


@given(cuts=st.lists(st.integers(0, len(_TEXT)), max_size=12))
def test_pieces_of_any_length_give_the_same_text(cuts: list[int]) -> None:
    shown = exposed(single((pool(member(1), member(2)),)), {"pool-1:listener-1/m1": "pool-1:listener-1/m1:twin"})
    translation = Translation(shown)
    ends = [*sorted(cuts), len(_TEXT)]
    pieces = [_TEXT[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    assert b"".join(translation.feed(piece) for piece in pieces) == _TRANSLATED


_MASTER = """
import os
if child := os.fork():
    print(child, flush=True)
    os.wait()
while not child:
    pass
"""


def test_the_processors_share_is_that_of_the_processes() -> None:
    with subprocess.Popen([sys.executable, "-c", _MASTER], stdout=subprocess.PIPE, text=True) as master:
        assert master.stdout is not None
        child = int(master.stdout.readline())
        try:
            busy, idle = Usage(), Usage()
            time.sleep(1.1)
            shown = read(busy.text(child).decode())
            assert 5 < shown["octavia_loadbalancer_cpu", of()] < 150
            assert busy.text(child) == busy.text(child), "two looks within a second say the same"
            assert 0 <= shown["octavia_loadbalancer_memory", of()] < 100
            with pytest.raises(OSError, match="No such file"):
                idle.text(2**22)
        finally:
            subprocess.run(["kill", "-9", str(child)], check=True)
