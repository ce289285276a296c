"""Which member gets what: algorithms, weights, backups, drained and disabled members, pools that listeners share."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from threading import Event

import pytest
from msgspec.structs import replace

from livia.agent.plumbing import kernel
from livia.core.model.l7 import Action, CompareType, RuleType
from livia.core.model.listener import ListenerProtocol
from livia.core.model.pool import Algorithm, MonitorType, PersistenceType, PoolProtocol
from livia.core.spec import (
    InterfaceAddress,
    MemberSpec,
    PersistenceSpec,
    PolicySpec,
    PoolSpec,
    RuleSpec,
    VipAddress,
)
from tests.agent.lab import VIP, listener, member, monitor, pool, single
from tests.agent.members import HttpServer, Request, Stream, answer, ask, connect, request, response
from tests.agent.site import CLIENT, MEMBERS, Site
from tests.waiting import wait_for

ONE, TWO, THREE, GONE = 8001, 8002, 8003, 8009


def _member(port: int, **changes: object) -> MemberSpec:
    return member(port - 8000, address=MEMBERS, port=port, **changes)


@pytest.fixture(scope="module", autouse=True)
def servers(site: Site) -> Iterator[None]:
    """Members that answer with their port."""
    with ExitStack() as stack:
        for port in (ONE, TWO, THREE):
            stack.enter_context(HttpServer(site.members, port))
        yield


def _one_pool(site: Site, *members: MemberSpec, **changes: object) -> None:
    site.apply((pool(*members, **changes),), listener())


def _asked(site: Site, times: int, *lines: str, port: int = 80) -> Counter[str]:
    return Counter(site.ask(port, *lines)[1] for _ in range(times))


def test_round_robin_follows_the_weights_exactly(site: Site) -> None:
    _one_pool(site, _member(ONE, weight=3), _member(TWO, weight=2), _member(THREE, weight=1))
    assert _asked(site, 30) == {"8001": 15, "8002": 10, "8003": 5}


def test_least_connections_prefer_who_is_idle(site: Site) -> None:
    over = Event()

    def hold(stream: Stream, _request: Request) -> None:
        over.wait(20)
        stream.socket.sendall(answer("busy"))

    with HttpServer(site.members, 8004, hold) as busy, ExitStack() as held:
        _one_pool(site, _member(8004), _member(ONE), algorithm=Algorithm.LEAST_CONNECTIONS)
        while not busy.requests:
            stream = held.enter_context(connect(site.client, VIP, 80, 0.1))
            stream.socket.sendall(request())
            with suppress(TimeoutError):
                response(stream)
        assert _asked(site, 10) == {"8001": 10}
        over.set()


def test_source_addresses_stay_where_they_are(site: Site) -> None:
    _one_pool(site, _member(ONE), _member(TWO), _member(THREE), algorithm=Algorithm.SOURCE_IP)
    others = [f"172.31.213.{number}" for number in range(101, 121)]
    kernel.batch(site.client, [f"address replace {each}/32 dev eth0" for each in others])
    first = {each: _asked_from(site, each) for each in others}
    assert {each: _asked_from(site, each) for each in others} == first
    assert len(set(first.values())) > 1
    # Who leaves takes only its own clients elsewhere.
    _one_pool(site, _member(ONE), _member(TWO), algorithm=Algorithm.SOURCE_IP)
    kept = {each: name for each, name in first.items() if name != "8003"}
    assert {each: _asked_from(site, each) for each in kept} == kept


def _asked_from(site: Site, source: str) -> str:
    return site.run("curl", "-sS", "--interface", source, f"http://{VIP}/")


def test_weight_0_drains_and_keeps_those_who_were_there(site: Site) -> None:
    sticky = PersistenceSpec(type=PersistenceType.HTTP_COOKIE)
    _one_pool(site, _member(ONE), _member(TWO), persistence=sticky)
    with connect(site.client, VIP, 80) as kept:
        while True:
            kept.socket.sendall(request())
            if response(kept).body == b"8001":
                break
        _one_pool(site, _member(ONE, weight=0), _member(TWO), persistence=sticky)
        assert _asked(site, 6) == {"8002": 6}
        assert _asked(site, 3, "Cookie: SRV=m1") == {"8001": 3}
        kept.socket.sendall(request("Cookie: SRV=m1"))
        assert response(kept).body == b"8001"
    _one_pool(site, _member(ONE, weight=0), _member(TWO, weight=0))
    assert site.ask(80)[0] == 503


def test_backups_serve_together_when_no_other_is_left(site: Site) -> None:
    check = monitor(type=MonitorType.TCP)
    backups = (_member(TWO, backup=True), _member(THREE, backup=True))
    _one_pool(site, _member(ONE), *backups, monitor=check)
    assert _asked(site, 4) == {"8001": 4}
    _one_pool(site, _member(GONE), *backups, monitor=check)
    wait_for(lambda: site.counted("pool-1:listener-1", "m9", "status") == "DOWN")
    assert _asked(site, 4) == {"8002": 2, "8003": 2}
    _one_pool(site, _member(ONE, enabled=False), *backups, monitor=check)
    assert _asked(site, 4) == {"8002": 2, "8003": 2}


def test_nothing_goes_to_members_that_are_disabled_or_down(site: Site) -> None:
    _one_pool(site, _member(ONE), _member(TWO, enabled=False))
    assert _asked(site, 4) == {"8001": 4}
    _one_pool(site, _member(ONE, monitor_port=GONE), monitor=monitor(type=MonitorType.TCP))
    wait_for(lambda: site.counted("pool-1:listener-1", "m1", "status") == "DOWN")
    status, text = site.ask(80)
    assert (status, "No server is available" in text) == (503, True)
    # Checks go where they are told to, traffic goes to the member.
    _one_pool(site, member(1, address="172.31.213.250", port=ONE, monitor_address=MEMBERS), monitor=monitor(delay=1))
    wait_for(lambda: site.counted("pool-1:listener-1", "m1", "status") == "UP")


def test_listeners_share_a_pool_and_have_several(site: Site) -> None:
    rule = RuleSpec(type=RuleType.PATH, compare_type=CompareType.STARTS_WITH, value="/static")
    policy = PolicySpec(id="static", action=Action.REDIRECT_TO_POOL, rules=(rule,), pool_id="two")
    site.apply(
        (_named("one", ONE), _named("two", TWO)),
        listener(id="first", default_pool_id="one", policies=(policy,)),
        listener(id="second", port=81, default_pool_id="one"),
        listener(id="third", port=82, default_pool_id="two", protocol=ListenerProtocol.TCP),
        listener(id="fourth", port=83, default_pool_id=None, policies=(policy,)),
    )
    assert [site.ask(80, target=target)[1] for target in ("/", "/static", "/")] == ["8001", "8002", "8001"]
    assert [site.ask(port)[1] for port in (81, 82)] == ["8001", "8002"]
    assert [site.ask(83, target=target)[0] for target in ("/", "/static")] == [503, 200]


def _named(name: str, port: int) -> PoolSpec:
    return pool(_member(port), id=name)


@pytest.mark.parametrize("protocol", [PoolProtocol.TCP, PoolProtocol.HTTP, PoolProtocol.HTTPS])
def test_bytes_go_to_pools_of_every_protocol(site: Site, protocol: PoolProtocol) -> None:
    kind = ListenerProtocol.HTTPS if protocol is PoolProtocol.HTTPS else ListenerProtocol.TCP
    site.apply((pool(_member(ONE), protocol=protocol),), listener(protocol=kind))
    assert ask(site.client, VIP, 80).body == b"8001"


def test_inserted_headers_say_who_asks_over_ipv6_too(site: Site) -> None:
    names = ("X-Client-IP", "X-Forwarded-For", "X-Forwarded-IP", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Real-IP")
    kernel.batch(site.client, ["address replace fd31::64/64 dev eth0 nodad"])
    spec = single((pool(_member(8005)),), (listener(insert_headers=names),))
    own = InterfaceAddress(address="fd31::5/64")
    interface = replace(spec.interfaces[0], addresses=(*spec.interfaces[0].addresses, own))
    vips = (*spec.vips, VipAddress(address="fd31::c8", interface="eth0"))
    site.apply_spec(replace(spec, interfaces=(interface,), vips=vips))
    with HttpServer(site.members, 8005) as server:
        lies = [f"{name}: 6.6.6.6" for name in names]
        for vip in (VIP, "fd31::c8"):
            assert ask(site.client, vip, 80, *lies, *lies).status == 200
    for seen, address in zip(server.requests, (CLIENT, "fd31::64"), strict=True):
        said = {name: seen.headers[name.lower()] for name in names}
        assert said == dict.fromkeys(names, address) | {"X-Forwarded-Port": "80", "X-Forwarded-Proto": "http"}


def test_without_listeners_connections_are_refused(site: Site) -> None:
    _one_pool(site, _member(ONE))
    site.apply(())
    with pytest.raises(ConnectionRefusedError):
        connect(site.client, VIP, 80)
