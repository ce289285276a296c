"""How clients stay at their members: by address, by a cookie of ours, by a cookie of the application."""

import ssl
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from msgspec.structs import replace

from livia.agent.plumbing import kernel
from livia.core.model.l7 import Action, CompareType, RuleType
from livia.core.model.listener import ListenerProtocol
from livia.core.model.pool import PersistenceType, PoolProtocol
from livia.core.spec import (
    InterfaceAddress,
    ListenerSpec,
    MemberSpec,
    PersistenceSpec,
    PolicySpec,
    PoolSpec,
    RuleSpec,
    VipAddress,
)
from livia.pki.sockets import ClosingSocket
from tests.agent.lab import VIP, listener, member, pool, single
from tests.agent.members import HttpServer, Response, connect, request, response
from tests.agent.site import MEMBERS, Site
from tests.agent.stick_tables import known, session_member, settled
from tests.agent.tls_site import termination, tls_listener
from tests.keymaterial import INTERMEDIATE, WEB

VIP6 = "fd31::c8"
NAMES = ("m1", "m2", "m3")
CLIENTS = [f"172.31.213.{number}" for number in range(101, 107)]
CLIENTS6 = [f"fd31::{number}" for number in range(101, 105)]
BY_ADDRESS = PersistenceSpec(type=PersistenceType.SOURCE_IP)
BY_COOKIE = PersistenceSpec(type=PersistenceType.HTTP_COOKIE)
BY_SESSION = PersistenceSpec(type=PersistenceType.APP_COOKIE, cookie_name="sid")
PEM = WEB.text(INTERMEDIATE)


def _member(name: str, **changes: object) -> MemberSpec:
    number = int(name[1:])
    return member(number, address=MEMBERS, port=8000 + number, **changes)


def _pool(*names: str, **changes: object) -> PoolSpec:
    return pool(*(_member(name) for name in names or NAMES), **changes)


@pytest.fixture(scope="module")
def servers(site: Site) -> Iterator[dict[str, HttpServer]]:
    own = [f"address replace {each}/32 dev eth0" for each in CLIENTS]
    kernel.batch(site.client, [*own, *(f"address replace {each}/64 dev eth0 nodad" for each in CLIENTS6)])
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(HttpServer(site.members, 8000 + int(name[1:]), session_member(name)))
            for name in (*NAMES, "m4")
        }


@pytest.fixture(autouse=True)
def fresh(site: Site, servers: dict[str, HttpServer]) -> None:
    """Nobody is known to any table."""
    site.apply(())
    for each in servers.values():
        each.requests.clear()


def _apply(site: Site, pools: tuple[PoolSpec, ...], *listeners: ListenerSpec) -> None:
    """An amphora with a VIP of each IP version."""
    spec = single(pools, listeners or (listener(),))
    own = (*spec.interfaces[0].addresses, InterfaceAddress(address="fd31::5/64"))
    vips = (*spec.vips, VipAddress(address=VIP6, interface="eth0"))
    material = (PEM,) if any(each.tls for each in listeners) else ()
    site.apply_spec(replace(spec, interfaces=(replace(spec.interfaces[0], addresses=own),), vips=vips), material)


def _visit(site: Site, *lines: str, port: int = 80, source: str = "", target: str = "/") -> Response:
    """One request on a connection of its own; port 443 is asked over TLS."""
    plain = connect(site.client, VIP6 if ":" in source else VIP, port, source=source)
    if port == 443:
        context = ssl.create_default_context()
        context.sslsocket_class = ClosingSocket
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        plain.socket = context.wrap_socket(plain.socket)
    with plain as stream:
        stream.socket.sendall(request(*lines, "Connection: close", target=target))
        return response(stream)


def _served_by(site: Site, *lines: str, port: int = 80, source: str = "", target: str = "/") -> str:
    return _visit(site, *lines, port=port, source=source, target=target).body.decode()


def _everybody(site: Site, clients: list[str], port: int = 80) -> dict[str, str]:
    """Who serves each of the clients."""
    return {each: _served_by(site, source=each, port=port) for each in clients}


def _log_in(site: Site, session: str, port: int = 80) -> str:
    """The member that a new session is at."""
    return _served_by(site, f"X-Set: sid={session}; Path=/; HttpOnly", port=port)


def test_clients_of_both_ip_versions_stay_by_their_address(site: Site) -> None:
    _apply(
        site,
        (
            _pool(persistence=BY_ADDRESS),
            _pool(id="tcp", protocol=PoolProtocol.TCP, persistence=BY_ADDRESS),
            _pool(id="https", protocol=PoolProtocol.HTTPS, persistence=BY_ADDRESS),
        ),
        listener(),
        replace(tls_listener(termination(PEM)), id="terminated"),
        listener(id="tcp", port=81, protocol=ListenerProtocol.TCP, default_pool_id="tcp"),
        listener(id="https", port=82, protocol=ListenerProtocol.HTTPS, default_pool_id="https"),
    )
    clients = [*CLIENTS, *CLIENTS6]
    for port in (80, 81, 82):
        first = _everybody(site, clients, port)
        assert set(first.values()) == set(NAMES)
        assert [_everybody(site, clients, port) for _ in range(2)] == [first] * 2
        if port == 80:
            # The table is the pool's: its other listener sends a client to the same member.
            assert _everybody(site, clients, 443) == first


@pytest.mark.parametrize("port", [80, 443])
def test_a_cookie_names_the_member(site: Site, servers: dict[str, HttpServer], port: int) -> None:
    _apply(site, (_pool(persistence=BY_COOKIE),), listener(), replace(tls_listener(termination(PEM)), id="tls"))
    first = _visit(site, port=port)
    name = first.body.decode()
    assert first.headers["set-cookie"] == f"SRV={name}; path=/"
    assert first.headers["cache-control"] == "private"
    for cookies in (f"SRV={name}", f"a=1; SRV={name}", f"SRV={name}; b=2", f"a=1; SRV={name}; b=2"):
        again = _visit(site, f"Cookie: {cookies}", port=port)
        assert again.body.decode() == name
        assert "set-cookie" not in again.headers
    seen = [each.headers.get("cookie") for each in servers[name].requests[1:]]
    assert seen == [None, "a=1", "b=2", "a=1; b=2"]


def test_foreign_and_hostile_cookies_are_balanced_anew(site: Site) -> None:
    _apply(site, (_pool(persistence=BY_COOKIE),))
    values = ("", "m9", "..", "%[src]", '"m1"', "m1:twin", "pool-1:listener-1/m1", "x" * 4000, "m1%00", "é")
    for cookie in (*(f"SRV={value}" for value in values), "SRV", "SRV=m9; SRV=m9", ";;=;SRV=;"):
        assert [_visit(site, f"Cookie: {cookie}").headers["set-cookie"][:5] for _ in range(3)] == ["SRV=m"] * 3
        assert {_served_by(site, f"Cookie: {cookie}") for _ in range(3)} == set(NAMES)


def test_a_cookie_of_another_pool_of_the_listener_does_no_harm(site: Site) -> None:
    rule = RuleSpec(type=RuleType.PATH, compare_type=CompareType.STARTS_WITH, value="/static")
    policy = PolicySpec(id="static", action=Action.REDIRECT_TO_POOL, rules=(rule,), pool_id="two")
    _apply(
        site,
        (_pool("m1", "m2", persistence=BY_COOKIE), _pool("m3", "m4", id="two", persistence=BY_COOKIE)),
        listener(policies=(policy,)),
    )
    other = _visit(site, "Cookie: SRV=m1", target="/static")
    assert other.body in (b"m3", b"m4")
    assert other.headers["set-cookie"] == f"SRV={other.body.decode()}; path=/"
    assert _served_by(site, "Cookie: SRV=m1") == "m1"


@pytest.mark.parametrize("port", [80, 443])
def test_sessions_of_the_application_are_learned(site: Site, port: int) -> None:
    _apply(site, (_pool(persistence=BY_SESSION),), listener(), replace(tls_listener(termination(PEM)), id="tls"))
    long = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + "x" * 600
    sessions = {
        # what the member sets: what the client sends
        "sid=plain": "sid=plain",
        "sid=attributes; Path=/; HttpOnly; SameSite=Lax": "sid=attributes",
        'sid="in quotes"; Path=/': 'sid="in quotes"',
        "other=1|sid=second; Path=/|third=3": "third=3; sid=second; other=1",
        f"sid={long}1": f"sid={long}1",
        f"sid={long}2": f"sid={long}2",
        f"sid={long}3": f"sid={long}3",
    }
    homes = {sent: _served_by(site, f"X-Set: {cookie}", port=port) for cookie, sent in sessions.items()}
    assert set(homes.values()) == set(NAMES)
    for _ in range(2):
        assert {sent: _served_by(site, f"Cookie: {sent}", port=port) for sent in homes} == homes


def test_a_renewed_session_stays_and_a_deleted_one_is_nobodys(site: Site) -> None:
    _apply(site, (_pool(persistence=BY_SESSION),))
    home = _log_in(site, "old")
    assert _served_by(site, "Cookie: sid=old", "X-Set: sid=new") == home
    _log_in(site, "somebody else's")
    assert [_served_by(site, f"Cookie: sid={each}") for each in ("new", "old", "new")] == [home] * 3
    # Logging out sets a cookie without a value, to whoever it is: that is not a session.
    for _ in NAMES:
        _served_by(site, "X-Set: sid=; Max-Age=0")
    assert {_served_by(site, "Cookie: sid=") for _ in NAMES} == set(NAMES)
    assert {_served_by(site, "Cookie: sid=unheard") for _ in NAMES} == set(NAMES)


def test_tables_outlive_reloads(site: Site) -> None:
    pools = (_pool(persistence=BY_ADDRESS), _pool(id="app", persistence=BY_SESSION))
    app = listener(id="app", port=81, default_pool_id="app")
    _apply(site, pools, listener(), app)
    homes = _everybody(site, CLIENTS)
    sessions = {name: _log_in(site, name, 81) for name in ("a", "b", "c", "d")}
    settled(site.worker)
    for timeout in (40000, 30000):
        before = site.lab.worker_pid("amphora-5")
        _apply(site, pools, listener(timeout_client_data=timeout), app)
        assert site.lab.worker_pid("amphora-5") != before
        known(site.worker, "pool-1", len(CLIENTS))
        known(site.worker, "app", len(sessions))
        assert _everybody(site, CLIENTS) == homes
        assert {name: _served_by(site, f"Cookie: sid={name}", port=81) for name in sessions} == sessions
    # A table is the pool's: it outlives the listener that filled it.
    _apply(site, pools, listener(id="other", port=82), app)
    known(site.worker, "pool-1", len(CLIENTS))
    assert _everybody(site, CLIENTS, 82) == homes


@pytest.mark.parametrize("kind", [BY_ADDRESS, BY_COOKIE, BY_SESSION], ids=lambda kind: kind.type)
def test_members_that_drain_keep_and_those_that_leave_lose_their_clients(site: Site, kind: PersistenceSpec) -> None:
    clients = _Clients(site, kind)
    _apply(site, (_pool(persistence=kind),))
    homes = clients.visit()
    assert set(homes.values()) == set(NAMES)
    own = {client for client, name in homes.items() if name == "m1"}
    rest = {client: name for client, name in homes.items() if client not in own}

    _apply(site, (pool(_member("m1", weight=0), _member("m2"), _member("m3"), persistence=kind),))
    assert clients.visit() == homes
    _apply(site, (pool(_member("m1", enabled=False), _member("m2"), _member("m3"), persistence=kind),))
    # One client is away meanwhile: its member is there again when it comes back.
    away = min(own)
    moved = clients.visit(without=away)
    assert "m1" not in moved.values()
    assert moved.items() >= rest.items()
    _apply(site, (_pool(persistence=kind),))
    assert clients.visit() == moved | {away: "m1"}

    # The place of a member that is gone is nobody's: its clients are spread over the others.
    _apply(site, (_pool("m2", "m3", "m4", persistence=kind),))
    after = clients.visit()
    assert {client: after[client] for client in moved} == moved
    assert after[away] != "m1"
    assert clients.visit() == after


class _Clients:
    """Clients that keep what they were given, by each type of persistence."""

    def __init__(self, site: Site, kind: PersistenceSpec) -> None:
        self._site = site
        self._kind = kind
        self._cookies: dict[str, str] = {}

    def visit(self, without: str = "") -> dict[str, str]:
        """Who serves each of them."""
        return {each: self._served_by(each) for each in CLIENTS if each != without}

    def _served_by(self, client: str) -> str:
        if self._kind is BY_ADDRESS:
            return _served_by(self._site, source=client)
        lines = [f"Cookie: {self._cookies[client]}"] if client in self._cookies else []
        if self._kind is BY_SESSION:
            # Members know the session, and say so with each answer.
            lines.append(f"X-Set: sid={client}; Path=/")
        answered = _visit(self._site, *lines)
        if "set-cookie" in answered.headers:
            self._cookies[client] = answered.headers["set-cookie"].partition(";")[0]
        return answered.body.decode()
