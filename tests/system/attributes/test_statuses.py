"""Operating statuses as users read them, while members die, come back and are changed (contracts 00, 40 and 95)."""

from typing import Any

import pytest

from tests.system.attributes.site import Site, UdpMember

FAST = {"delay": 1, "timeout": 1, "max_retries": 1, "max_retries_down": 1}
UP = {"lb": "ONLINE", "web": "ONLINE", "members": "ONLINE"}


@pytest.fixture(autouse=True)
def _everybody_lives(site: Site) -> Any:
    yield
    for member in site.members:
        member.stop()
        member.start()


def test_members_that_die_and_come_back(site: Site) -> None:
    pool = {"healthmonitor": {"type": "HTTP", "url_path": "/", **FAST}}
    with site.web("dying", pool) as balancer:
        balancer.becomes(**UP, monitor="ONLINE", member_0="ONLINE", member_1="ONLINE", member_2="ONLINE")
        site.members[0].stop()
        balancer.becomes(member_0="ERROR", member_1="ONLINE", members="DEGRADED", web="ONLINE", lb="DEGRADED")
        assert {balancer.who() for _ in range(6)} == {"member-1", "member-2"}
        for member in site.members[1:]:
            member.stop()
        balancer.becomes(
            member_0="ERROR", member_1="ERROR", member_2="ERROR", members="ERROR", web="ONLINE", lb="ERROR"
        )
        assert balancer.who() == "503"
        for member in site.members:
            member.start()
        balancer.becomes(**UP, member_0="ONLINE", member_1="ONLINE", member_2="ONLINE")


def test_what_users_change(site: Site) -> None:
    """Weight, admin state and backup of members, and a monitor that comes, pauses and goes."""
    with site.web("changing") as balancer:
        pool = balancer.first("pools")
        balancer.becomes(**UP, member_0="NO_MONITOR", member_1="NO_MONITOR")
        monitor = balancer.add("/healthmonitors", "healthmonitor", pool_id=pool, type="TCP", **FAST)["id"]
        balancer.becomes(**UP, monitor="ONLINE", member_0="ONLINE", member_1="ONLINE")
        joined = site.members[0].body(name="late", protocol_port=81)
        assert balancer.add(f"/pools/{pool}/members", "member", **joined)["operating_status"] == "OFFLINE"
        balancer.becomes(late="ERROR", members="DEGRADED", lb="DEGRADED")
        balancer.set_member("late", admin_state_up=False)
        balancer.becomes(late="OFFLINE", **UP)
        balancer.set_member("member-0", weight=0)
        balancer.set_member("member-1", admin_state_up=False)
        balancer.set_member("member-2", backup=True)
        balancer.becomes(**UP, member_0="DRAINING", member_1="OFFLINE", member_2="ONLINE")
        assert {balancer.who() for _ in range(4)} == {"member-2"}
        balancer.put(f"/healthmonitors/{monitor}", admin_state_up=False)
        balancer.becomes(**UP, monitor="OFFLINE", member_0="DRAINING", member_1="OFFLINE", member_2="NO_MONITOR")
        balancer.put(f"/healthmonitors/{monitor}", admin_state_up=True)
        balancer.set_member("member-0", weight=1)
        balancer.becomes(**UP, monitor="ONLINE", member_0="ONLINE", member_2="ONLINE")
        balancer.api.delete(f"/healthmonitors/{monitor}")
        balancer.wait()
        balancer.becomes(**UP, member_0="NO_MONITOR", member_1="OFFLINE", member_2="NO_MONITOR")
        assert "monitor" not in balancer.statuses()


def test_what_users_switch_off(site: Site) -> None:
    """The admin state of pool, listener and load balancer, and what clients get meanwhile."""
    with site.web("switched") as balancer:
        balancer.becomes(**UP)
        balancer.set_pool(admin_state_up=False)
        balancer.becomes(lb="ONLINE", web="ONLINE", members="OFFLINE")
        assert balancer.who() == "503"
        balancer.set_pool(admin_state_up=True)
        balancer.set_listener(admin_state_up=False)
        balancer.becomes(lb="ONLINE", web="OFFLINE", members="OFFLINE")
        assert balancer.who() == "0"
        balancer.set_listener(admin_state_up=True)
        balancer.becomes(**UP)
        balancer.put(f"/loadbalancers/{balancer.id}", admin_state_up=False)
        balancer.becomes(lb="OFFLINE", web="OFFLINE", members="OFFLINE")
        assert balancer.who() == "0"
        balancer.put(f"/loadbalancers/{balancer.id}", admin_state_up=True)
        balancer.becomes(**UP)
        balancer.serves(lambda: balancer.who().startswith("member-"), "traffic again")


def test_a_full_listener_and_a_pool_of_nobody(site: Site) -> None:
    with site.web("full", connection_limit=1) as balancer:
        with balancer.connect():
            balancer.becomes(web="DEGRADED", lb="DEGRADED")
        balancer.becomes(**UP)
        balancer.add(
            "/pools", "pool", loadbalancer_id=balancer.id, name="idle", protocol="HTTP", lb_algorithm="ROUND_ROBIN"
        )
        balancer.becomes(**UP)
        # What no listener uses is in no status tree of the contract but by itself.
        (shown,) = balancer.api.get(f"/pools?loadbalancer_id={balancer.id}&name=idle")["pools"]
        assert shown["operating_status"] == "OFFLINE"


def test_every_type_of_monitor_tells_the_living_from_the_dead(site: Site) -> None:
    """PING and TLS-HELLO, each of a pool with a member that passes and one that does not."""
    gone = {"name": "gone", "address": "10.85.0.250", "protocol_port": 80}
    alive = site.members[0].body(name="alive")
    pools = {
        "ping": ("PING", [alive, gone]),
        "hello": ("TLS-HELLO", [alive, gone]),
        "connect": ("TCP", [alive, {**alive, "name": "closed", "protocol_port": 81}]),
        "path": ("HTTP", [alive, {**alive, "name": "closed", "protocol_port": 81}]),
    }
    listeners = [
        {
            "name": f"on-{name}",
            "protocol": "TCP",
            "protocol_port": 1000 + number,
            "default_pool": site.pool(name=name, protocol="TCP", members=members, healthmonitor={"type": kind, **FAST}),
        }
        for number, (name, (kind, members)) in enumerate(pools.items())
    ]
    with site.create("monitors", listeners=listeners) as balancer:
        balancer.becomes(lb="ERROR", ping="DEGRADED", connect="DEGRADED", path="DEGRADED", hello="ERROR")


def test_members_of_udp_pools(site: Site) -> None:
    servers = [UdpMember(site.inside, number) for number in range(2)]
    monitor = {"type": "UDP-CONNECT", **FAST, "delay": 3}
    pool = site.pool(protocol="UDP", members=[each.body() for each in servers], healthmonitor=monitor)
    listener = {"name": "web", "protocol": "UDP", "protocol_port": 53, "default_pool": pool}
    try:
        with site.create("udp", listeners=[listener]) as balancer:
            balancer.becomes(**UP, monitor="ONLINE", member_0="ONLINE", member_1="ONLINE")
            servers[0].stop()
            balancer.becomes(lb="DEGRADED", web="ONLINE", members="DEGRADED", member_0="ERROR", member_1="ONLINE")
            servers[1].stop()
            balancer.becomes(lb="ERROR", web="ONLINE", members="ERROR", member_1="ERROR")
            for server in servers:
                server.start()
            balancer.becomes(**UP, member_0="ONLINE", member_1="ONLINE")
            balancer.set_member("member-0", weight=0)
            balancer.set_member("member-1", admin_state_up=False)
            balancer.becomes(member_0="DRAINING", member_1="OFFLINE")
            balancer.api.delete(f"/healthmonitors/{balancer.created['pools'][0]['healthmonitor']['id']}")
            balancer.wait()
            balancer.becomes(member_0="DRAINING", member_1="OFFLINE")
            balancer.set_member("member-0", weight=1)
            balancer.becomes(lb="ONLINE", member_0="NO_MONITOR")
    finally:
        for server in servers:
            server.stop()
