"""Pools, persistence, listeners' limits and L7 through the API: POST or PUT, and then what clients meet."""

import http.client
import socket
from collections import Counter
from typing import Any

from tests.agent.members import HttpServer, Server, Stream, answer, request, response
from tests.system.attributes.site import Balancer, Site, UdpMember

EVERYBODY = {"member-0", "member-1", "member-2"}


def _cookie(got: Any) -> str:
    return str(got.headers["set-cookie"].split(";")[0])


def test_algorithms_and_persistence(site: Site) -> None:
    """Changed by PUT one after the other on one load balancer."""
    with site.web("persistence") as balancer:

        def spread(source: int, number: int = 6) -> set[str]:
            return {balancer.who(source=source) for _ in range(number)}

        assert spread(0) == EVERYBODY
        balancer.set_pool(lb_algorithm="SOURCE_IP")
        assert [len(spread(source)) for source in range(6)] == [1] * 6
        balancer.set_pool(lb_algorithm="SOURCE_IP_PORT")
        assert len(spread(0, 24)) > 1
        balancer.set_pool(lb_algorithm="LEAST_CONNECTIONS")
        with balancer.connect() as first, balancer.connect() as second:
            busy = set()
            for stream in (first, second):
                stream.socket.sendall(request())
                busy.add(response(stream).body.decode())
        assert len(busy) == 2

        balancer.set_pool(lb_algorithm="ROUND_ROBIN", session_persistence={"type": "SOURCE_IP"})
        assert [len(spread(source)) for source in range(3)] == [1] * 3
        balancer.set_pool(session_persistence={"type": "HTTP_COOKIE"})
        assert spread(0) == EVERYBODY
        got = balancer.ask()
        cookies = f"Cookie: {_cookie(got)}"
        assert {balancer.who("/", cookies) for _ in range(6)} == {got.body.decode()}
        balancer.set_pool(session_persistence={"type": "APP_COOKIE", "cookie_name": "JSESSIONID"})
        got = balancer.ask("/login")
        cookies = f"Cookie: {_cookie(got)}"
        assert {balancer.who("/", cookies) for _ in range(6)} == {got.body.decode()}
        balancer.set_member(got.body.decode(), weight=0)
        assert {balancer.who("/", cookies) for _ in range(3)} == {got.body.decode()}
        assert spread(0) == EVERYBODY - {got.body.decode()}
        balancer.set_pool(session_persistence=None)
        assert len({balancer.who("/", cookies) for _ in range(6)}) == 2
        for name in EVERYBODY:
            balancer.set_member(name, weight=3 if name == "member-0" else 1)
        assert Counter(balancer.who() for _ in range(10)) == {"member-0": 6, "member-1": 2, "member-2": 2}


def test_persistence_of_datagrams(site: Site) -> None:
    servers = [UdpMember(site.inside, number) for number in range(3)]
    pool = site.pool(protocol="UDP", members=[each.body() for each in servers])
    listener = {"name": "dns", "protocol": "UDP", "protocol_port": 53, "default_pool": pool}
    try:
        with site.create("datagrams", listeners=[listener]) as balancer:

            def spread(*sources: int) -> set[str | None]:
                return {balancer.datagram(53, source=source) for source in sources for _ in range(6)}

            assert spread(0) == EVERYBODY
            balancer.set_pool(session_persistence={"type": "SOURCE_IP", "persistence_timeout": 1})
            assert [len(spread(source)) for source in range(3)] == [1] * 3
            mask = {"type": "SOURCE_IP", "persistence_granularity": "255.255.255.0", "persistence_timeout": 60}
            balancer.set_pool(session_persistence=mask)
            assert len(spread(*range(6))) == 1
            balancer.set_pool(session_persistence=None, lb_algorithm="SOURCE_IP")
            assert [len(spread(source)) for source in range(3)] == [1] * 3
            balancer.set_pool(lb_algorithm="SOURCE_IP_PORT")
            kept = {balancer.datagram(53, source_port=4000) for _ in range(4)}
            assert len(kept) == 1
            assert len({balancer.datagram(53, source_port=port) for port in range(4100, 4130)}) > 1
    finally:
        for server in servers:
            server.stop()


def test_members_that_are_introduced_and_checked_elsewhere(site: Site) -> None:
    """PROXY and PROXYV2, then monitor_address and monitor_port."""
    first = bytearray()

    def greet(stream: Stream) -> None:
        data = stream.read()
        first[:] = data
        stream.socket.sendall(answer("greeted", Connection="close"))

    place = site.inside.ipv4[3]
    inside = site.inside.namespace
    with Server(inside, 90, greet, host=place), HttpServer(inside, 91, host=site.inside.ipv4[2]) as monitored:
        greeter = {"address": place, "protocol_port": 90}
        listeners = [
            {
                "protocol": "HTTP",
                "protocol_port": port,
                "default_pool": site.pool(
                    name=f"by-{protocol}", protocol=protocol, members=[{**greeter, "name": protocol}]
                ),
            }
            for port, protocol in ((80, "PROXY"), (81, "PROXYV2"))
        ]
        with site.create("introduced", listeners=listeners) as balancer:
            source = site.outside.ipv4[2]
            assert balancer.who(port=80, source=2) == "greeted"
            assert first.startswith(f"PROXY TCP4 {source} {balancer.vip} ".encode())
            assert balancer.who(port=81, source=2) == "greeted"
            assert first.startswith(b"\r\n\r\n\x00\r\nQUIT\n")
            assert socket.inet_aton(source) + socket.inet_aton(balancer.vip) == first[16:24]
            _check_monitored(balancer, monitored, site.inside.ipv4[2])


def _check_monitored(balancer: Balancer, monitored: HttpServer, address: str) -> None:
    """The first pool's member is checked where its monitor address says, on port 91."""
    pool = balancer.first("pools")
    assert balancer.api.get(f"/pools/{pool}")["pool"]["protocol"] == "PROXY"
    fast = {"delay": 1, "timeout": 1, "max_retries": 1, "max_retries_down": 1}
    balancer.add("/healthmonitors", "healthmonitor", pool_id=pool, type="HTTP", url_path="/check", **fast)
    balancer.set_member("PROXY", monitor_address=address, monitor_port=91)
    balancer.becomes(PROXY="ONLINE")
    balancer.serves(lambda: any(each.target == "/check" for each in monitored.requests), "a check")
    balancer.set_member("PROXY", monitor_port=92)
    balancer.becomes(PROXY="ERROR")


def test_listeners_change_under_their_clients(site: Site) -> None:
    """Limits, timeouts, pools and CIDRs by PUT; both IP versions."""
    members = [each.body(address=each.address) for each in site.members]
    pools = [site.pool(name="many", members=members[1:]), site.pool(name="one", members=members[:1])]
    listener = {"name": "web", "protocol": "HTTP", "protocol_port": 80, "default_pool": {"name": "many"}}
    with site.create("limits", both=True, listeners=[listener], pools=pools) as balancer:
        six = balancer.vip6
        pool_ids = {each["name"]: each["id"] for each in balancer.api.get("/pools")["pools"]}
        assert {balancer.who(vip=vip) for vip in (balancer.vip, six) for _ in range(4)} == {"member-1", "member-2"}
        balancer.set_listener(default_pool_id=pool_ids["one"])
        assert {balancer.who(vip=vip) for vip in (balancer.vip, six) for _ in range(4)} == {"member-0"}
        balancer.set_listener(default_pool_id=None)
        assert balancer.who() == "503"
        balancer.set_listener(default_pool_id=pool_ids["one"])

        balancer.set_listener(timeout_client_data=300)
        with balancer.connect() as silent:
            silent.socket.sendall(b"GET / HTTP/1.1\r\n")
            assert response(silent).status == http.client.REQUEST_TIMEOUT
        balancer.set_listener(timeout_client_data=None)

        own = site.outside
        balancer.set_listener(allowed_cidrs=[f"{own.ipv4[1]}/32", f"{own.ipv6[2]}/128"])
        answered = {
            (vip, source): balancer.who(vip=vip, source=source) for vip in (balancer.vip, six) for source in range(3)
        }
        assert {where for where, who in answered.items() if who == "member-0"} == {(balancer.vip, 1), (six, 2)}
        balancer.set_listener(allowed_cidrs=None)
        assert balancer.who() == "member-0"

        balancer.set_listener(connection_limit=1)
        _second_waits_for_first(balancer)
        balancer.set_listener(connection_limit=-1)


def _second_waits_for_first(balancer: Balancer) -> None:
    with balancer.connect() as kept:
        kept.socket.sendall(request())
        assert response(kept).status == http.client.OK
        waiting = balancer.connect()
        waiting.socket.sendall(request("Connection: close"))
        waiting.socket.settimeout(0.3)
        assert _silent(waiting)
    waiting.socket.settimeout(5)
    with waiting:
        assert response(waiting).status == http.client.OK


def test_tcp_and_udp_share_a_port(site: Site) -> None:
    """Each is disabled without the other."""
    pool = site.pool(members=[site.members[0].body()])
    listener = {"name": "web", "protocol": "HTTP", "protocol_port": 80, "default_pool": pool}
    server = UdpMember(site.inside, 0)
    with site.create("shared", listeners=[listener]) as balancer:
        datagrams = balancer.add(
            "/pools", "pool", loadbalancer_id=balancer.id, protocol="UDP", lb_algorithm="ROUND_ROBIN"
        )["id"]
        balancer.add(f"/pools/{datagrams}/members", "member", **server.body())
        listener_id = balancer.listener("UDP", 80, default_pool_id=datagrams)
        assert (balancer.datagram(80), balancer.who()) == ("member-0", "member-0")
        balancer.put(f"/listeners/{listener_id}", admin_state_up=False)
        assert (balancer.datagram(80), balancer.who()) in ((None, "member-0"), ("", "member-0"))
        balancer.put(f"/listeners/{listener_id}", admin_state_up=True)
        balancer.set_listener(admin_state_up=False)
        assert (balancer.datagram(80), balancer.who()) == ("member-0", "0")
    server.stop()


def _silent(stream: Stream) -> bool:
    try:
        stream.read()
    except TimeoutError:
        return True
    return False


def test_policies_decide(site: Site) -> None:
    with site.web("policies") as balancer:
        listener = balancer.first("listeners")
        aside = balancer.add(
            "/pools", "pool", loadbalancer_id=balancer.id, name="aside", protocol="HTTP", lb_algorithm="ROUND_ROBIN"
        )["id"]
        balancer.add(f"/pools/{aside}/members", "member", **site.members[0].body())

        def policy(path: str, **values: Any) -> str:
            made = balancer.add("/l7policies", "l7policy", listener_id=listener, **values)["id"]
            rule = {"type": "PATH", "compare_type": "STARTS_WITH", "value": path}
            balancer.add(f"/l7policies/{made}/rules", "rule", **rule)
            return str(made)

        policy("/forbidden", action="REJECT")
        moved = {"redirect_url": "https://www.example.net/there", "redirect_http_code": 307}
        to_url = policy("/moved", action="REDIRECT_TO_URL", **moved)
        policy("/prefixed", action="REDIRECT_PREFIX", redirect_prefix="https://www.example.net/x")
        policy("/aside", action="REDIRECT_TO_POOL", redirect_pool_id=aside)
        assert balancer.who("/forbidden") == "403"
        got = balancer.ask("/moved")
        assert (got.status, got.headers["location"]) == (307, moved["redirect_url"])
        got = balancer.ask("/prefixed/a?b=c")
        assert (got.status, got.headers["location"]) == (302, "https://www.example.net/x/prefixed/a?b=c")
        assert {balancer.who("/aside") for _ in range(4)} == {"member-0"}
        assert {balancer.who() for _ in range(6)} == EVERYBODY

        header = {"type": "HEADER", "key": "X-Any", "compare_type": "REGEX", "value": "^a+$", "invert": True}
        rule = balancer.add(f"/l7policies/{to_url}/rules", "rule", **header)["id"]
        assert balancer.ask("/moved", "X-Any: aaa").status == http.client.OK
        assert balancer.ask("/moved", "X-Any: b").status == http.client.TEMPORARY_REDIRECT
        balancer.api.put(f"/l7policies/{to_url}/rules/{rule}", {"rule": {"admin_state_up": False}})
        balancer.wait()
        assert balancer.ask("/moved", "X-Any: aaa").status == http.client.TEMPORARY_REDIRECT
        balancer.put(f"/l7policies/{to_url}", admin_state_up=False)
        assert balancer.ask("/moved").status == http.client.OK
        # Rejecting comes first whatever the positions.
        balancer.put(f"/l7policies/{to_url}", admin_state_up=True, action="REJECT")
        assert balancer.who("/moved") == "403"
