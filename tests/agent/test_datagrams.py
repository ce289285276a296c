"""UDP through a VIP, with real members and clients."""

import select
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from livia.agent.plumbing import kernel
from livia.core.model.pool import Algorithm, MonitorType, PersistenceType
from livia.core.report import Refused
from livia.core.spec import InterfaceAddress, MemberSpec, PersistenceSpec, Spec, VipAddress
from tests.agent.datagrams import PORT, Client, ask, clients, count, serve, udp_listener, udp_pool
from tests.agent.lab import VIP, Lab, listener, member, monitor, pool, single
from tests.waiting import wait_for

VIP6 = "fd00:213::200"
STICKY = PersistenceSpec(type=PersistenceType.SOURCE_IP, timeout=2)


def udp(number: int, **changes: Any) -> MemberSpec:
    return member(number, **({"port": PORT} | changes))


class Site:
    """One agent, three members, one client with several addresses, for all tests of this file."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        lab.start()
        for number, name in enumerate(("one", "two", "three"), 1):
            namespace = lab.namespace(name, f"172.31.213.{10 + number}")
            kernel.ip(["-n", namespace, "address", "add", f"fd00:213::{10 + number}/64", "dev", "eth0", "nodad"])
            serve(lab, namespace, name)
            if number == 1:
                lab.serve(namespace, name)
                wait_for(lambda: lab.get(namespace, "127.0.0.1") == (200, "one"))  # noqa: B023
        self.client = lab.namespace("client", "172.31.213.100")
        for last in range(101, 131):
            kernel.ip(["-n", self.client, "address", "add", f"172.31.213.{last}/24", "dev", "eth0"])
        for end in ("100", "101"):
            kernel.ip(["-n", self.client, "address", "add", f"fd00:213::{end}/64", "dev", "eth0", "nodad"])
        self._generation = 0

    def apply(self, spec: Spec) -> None:
        self._generation += 1
        self.lab.apply(spec, self._generation)

    def hear(self, told: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first report of the UDP listener that is as wanted."""
        beat = self.lab.hear(lambda beat: "udp-1" in beat["listeners"] and told(beat["listeners"]["udp-1"]))
        report: dict[str, Any] = beat["listeners"]["udp-1"]
        return report

    def forget(self) -> None:
        """Remove the amphora, and what is still to be heard of it."""
        self.lab.remove("amphora-5")
        while select.select([self.lab.beats], [], [], 0)[0]:
            self.lab.beats.recv(65536)

    def nft(self, command: str) -> str:
        namespace = self.lab.names.amphora("amphora-5")
        return subprocess.run(
            ["nsenter", f"--net=/run/netns/{namespace}", "nft", *command.split()],
            check=True,
            capture_output=True,
            text=True,
        ).stdout


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    lab = Lab(tmp_path_factory.mktemp("datagrams"))
    try:
        yield Site(lab)
    finally:
        lab.close()


@pytest.fixture
def site(everything: Site) -> Iterator[Site]:
    """The site with nothing balanced."""
    yield everything
    everything.forget()


def balanced(*members: MemberSpec, **changes: Any) -> Spec:
    return single((udp_pool(*members, **changes),), (udp_listener(),))


def _members(spec: Spec, *members: MemberSpec) -> Spec:
    return replace(spec, pools=(replace(spec.pools[0], members=members),))


def test_new_flows_follow_the_weights_exactly(site: Site) -> None:
    site.apply(balanced(udp(1, weight=3), udp(2, weight=2), udp(3, weight=1)))
    assert count(ask(site.client) for _ in range(30)) == {"one": 15, "two": 10, "three": 5}


def test_a_flow_stays_at_its_member(site: Site) -> None:
    site.apply(balanced(udp(1), udp(2), udp(3)))
    with Client(site.client) as client:
        assert len({client.ask() for _ in range(6)}) == 1


def test_a_drained_member_keeps_its_flows_and_gets_no_new_ones(site: Site) -> None:
    spec = balanced(udp(1), udp(2))
    site.apply(spec)
    with clients(site.client, 4) as opened:
        before = [client.ask() for client in opened]
        assert count(before) == {"one": 2, "two": 2}
        site.apply(_members(spec, udp(1), udp(2, weight=0)))
        assert [client.ask() for client in opened] == before
        assert count(ask(site.client) for _ in range(4)) == {"one": 4}


@pytest.mark.parametrize(
    "left", [(udp(1),), (udp(1), udp(2, enabled=False)), (udp(1), udp(2, address="172.31.213.13"))]
)
def test_clients_of_a_member_that_goes_move_on_with_their_next_datagram(
    site: Site, left: tuple[MemberSpec, ...]
) -> None:
    spec = balanced(udp(1), udp(2))
    site.apply(spec)
    with clients(site.client, 6) as opened:
        before = [client.ask() for client in opened]
        site.apply(_members(spec, *left))
        after = [client.ask() for client in opened]
    assert not {"two", None} & set(after)
    assert all(now == "one" for then, now in zip(before, after, strict=True) if then == "one")


def test_backups_stand_in_only_while_nobody_else_can(site: Site) -> None:
    spec = balanced(udp(1), udp(2, backup=True), udp(3, backup=True))
    site.apply(spec)
    assert count(ask(site.client) for _ in range(4)) == {"one": 4}
    site.apply(_members(spec, udp(1, enabled=False), udp(2, backup=True), udp(3, backup=True)))
    assert count(ask(site.client) for _ in range(4)) == {"two": 2, "three": 2}


def test_without_members_clients_hear_at_once_that_nobody_listens(site: Site) -> None:
    site.apply(balanced())
    with Client(site.client) as client:
        assert client.ask() == ""
        site.apply(balanced(udp(1)))
        assert client.ask() == "one"


def test_a_client_that_was_there_before_the_listener_is_served(site: Site) -> None:
    other = udp_listener(id="udp-2", port=54)
    site.apply(single((udp_pool(udp(1)),), (other,)))
    with Client(site.client) as client:
        assert client.ask() == ""
        site.apply(single((udp_pool(udp(1)),), (other, udp_listener())))
        assert client.ask() == "one"
        site.apply(single((udp_pool(udp(1)),), (other,)))
        assert client.ask() in ("", None)


def test_source_persistence_outlives_flows_and_ends_by_its_timeout(site: Site) -> None:
    spec = balanced(udp(1), udp(2), udp(3), persistence=STICKY)
    site.apply(spec)
    first = ask(site.client)
    assert {ask(site.client) for _ in range(5)} == {first}
    others = {ask(site.client, source=f"172.31.213.{last}") for last in (101, 102)}
    assert len(others | {first}) == 3
    # Clients are remembered through changes of the pool, and by nothing else once it is over.
    site.apply(_members(spec, *spec.pools[0].members, udp(4, address="172.31.213.13", port=55)))
    assert {ask(site.client) for _ in range(4)} == {first}
    wait_for(lambda: "expires" not in site.nft("list map inet livia sticky4-udp-1"), 30)


@pytest.mark.parametrize("granularity", [None, "255.255.255.248"])
def test_who_loses_its_member_stays_at_another(site: Site, granularity: str | None) -> None:
    sticky = PersistenceSpec(type=PersistenceType.SOURCE_IP, granularity=granularity)
    spec = balanced(udp(1), udp(2), udp(3), persistence=sticky)
    site.apply(spec)
    lost = {"one": 1, "two": 2, "three": 3}[str(ask(site.client))]
    site.apply(_members(spec, *(udp(each) for each in (1, 2, 3) if each != lost)))
    assert len({ask(site.client) for _ in range(5)}) == 1


def test_granularity_counts_a_network_as_one_client(site: Site) -> None:
    wide = PersistenceSpec(type=PersistenceType.SOURCE_IP, granularity="255.255.255.248")
    site.apply(balanced(udp(1), udp(2), udp(3), persistence=wide))
    assert len({ask(site.client, source=f"172.31.213.{last}") for last in range(104, 112)}) == 1
    assert len({ask(site.client, source=f"172.31.213.{last}") for last in (104, 112, 120)}) == 3


@pytest.mark.parametrize("algorithm", [Algorithm.SOURCE_IP, Algorithm.SOURCE_IP_PORT])
def test_hashes_choose_by_the_client(site: Site, algorithm: Algorithm) -> None:
    spec = balanced(udp(1), udp(2), udp(3), algorithm=algorithm)
    site.apply(spec)
    by_port = {ask(site.client) for _ in range(24)}
    by_address = {ask(site.client, source=f"172.31.213.{last}") for last in range(100, 131)}
    assert by_address == {"one", "two", "three"}
    assert len(by_port) == (1 if algorithm is Algorithm.SOURCE_IP else 3)


def test_the_least_loaded_member_is_next(site: Site) -> None:
    spec = balanced(udp(1), udp(2, enabled=False), algorithm=Algorithm.LEAST_CONNECTIONS)
    site.apply(spec)
    with clients(site.client, 6) as opened:
        assert count(client.ask() for client in opened) == {"one": 6}
        site.hear(lambda report: report["stats"]["conns"] == 6)
        site.apply(_members(spec, udp(1), udp(2, weight=2)))
        # By weight, three times two flows at the second are what one at the first is: 6 + 0 become 6 + 12.
        assert count(ask(site.client) for _ in range(8)) == {"two": 8}


def test_both_ip_versions_are_balanced_among_members_of_their_own(site: Site) -> None:
    spec = balanced(udp(1), udp(2, address="fd00:213::12"), udp(3, address="fd00:213::13"))
    spec = replace(
        spec,
        vips=(*spec.vips, VipAddress(address=VIP6, interface="eth0")),
        interfaces=(
            replace(
                spec.interfaces[0],
                addresses=(*spec.interfaces[0].addresses, InterfaceAddress(address="fd00:213::5/64")),
            ),
        ),
    )
    site.apply(spec)
    assert count(ask(site.client) for _ in range(4)) == {"one": 4}
    assert count(ask(site.client, VIP6) for _ in range(4)) == {"two": 2, "three": 2}
    wide = PersistenceSpec(type=PersistenceType.SOURCE_IP, granularity="ffff:ffff:ffff:ffff::")
    site.apply(replace(spec, pools=(replace(spec.pools[0], persistence=wide),)))
    assert len({ask(site.client, VIP6, source=f"fd00:213::{last}") for last in (100, 101)}) == 1


def test_tcp_and_udp_share_a_port(site: Site) -> None:
    both = (udp_listener(port=80), listener())
    site.apply(single((udp_pool(udp(1)), pool(member(1))), both))
    assert (ask(site.client, port=80), site.lab.get(site.client, VIP)) == ("one", (200, "one"))
    answer = site.lab.put(single((udp_pool(udp(1)),), (udp_listener(), udp_listener(id="udp-2"))), 1000)
    assert isinstance(answer, Refused)
    assert "53/UDP" in answer.message


def test_the_listener_takes_so_many_flows(site: Site) -> None:
    spec = balanced(udp(1), udp(2))
    site.apply(replace(spec, listeners=(udp_listener(connection_limit=3),)))
    with clients(site.client, 4) as opened:
        assert count(client.ask() for client in opened) == {"one": 2, "two": 1, None: 1}
        assert site.hear(lambda report: bool(report["status"] == "FULL"))["stats"]["conns"] == 3


def test_idle_flows_end_after_the_listeners_timeouts(site: Site) -> None:
    spec = balanced(udp(1), udp(2))
    site.apply(replace(spec, listeners=(udp_listener(timeout_client_data=1000, timeout_member_data=1000),)))
    with Client(site.client) as client:
        first = client.ask()
        site.hear(lambda report: report["stats"]["conns"] == 1)
        site.hear(lambda report: report["stats"]["conns"] == 0)
        assert client.ask() != first


def test_only_allowed_clients_get_in(site: Site) -> None:
    cidrs = ("172.31.213.100/32", "172.31.213.101/32", "172.31.213.100/31", "2001:db8::/32")
    listeners = (udp_listener(allowed_cidrs=cidrs), listener(allowed_cidrs=cidrs))
    spec = single((udp_pool(udp(1)), pool(member(1))), listeners)
    site.apply(spec)
    worker = site.lab.worker_pid("amphora-5")
    with Client(site.client) as inside:
        assert (inside.ask(), ask(site.client, source="172.31.213.101")) == ("one", "one")
        assert ask(site.client, source="172.31.213.102") is None
        assert site.lab.get(site.client, VIP) == (200, "one")
        stream = kernel.inside(site.client, lambda: socket.create_connection((VIP, 80), timeout=2))
        moved = tuple(replace(each, allowed_cidrs=("172.31.213.102/32",)) for each in listeners)
        site.apply(replace(spec, listeners=moved))
        # Datagrams are judged one by one, connections when they begin: refused at once, and not by silence.
        assert inside.ask() is None
        assert ask(site.client, source="172.31.213.102") == "one"
        with stream:
            stream.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200 OK" in stream.recv(65536)
        with pytest.raises(ConnectionRefusedError):
            kernel.inside(site.client, lambda: socket.create_connection((VIP, 80), timeout=2))
    assert site.lab.worker_pid("amphora-5") == worker


def test_counters_are_what_was_sent_across_changes(site: Site) -> None:
    spec = balanced(udp(1), udp(2))
    site.apply(spec)
    sizes = [0, 1, 100, 1400, 5000]
    total = {"rx": 0, "tx": 0, "totconns": 0}

    def told(report: dict[str, Any]) -> bool:
        for key in total:
            total[key] += report["stats"][key]
        # A beat can come between the last question and its answer.
        return total["totconns"] >= 2 * len(sizes) and total["tx"] >= answered

    answered = 0
    for number, size in enumerate([*sizes, *sizes]):
        name = ask(site.client, text=b"x" * size)
        assert name is not None
        answered += len(name) + 1 + size
        site.apply(_members(spec, udp(1, weight=2 + number), udp(2)))
    site.hear(told)
    # Fragments of a long datagram are one again before they are counted.
    assert total == {"rx": 2 * sum(sizes), "tx": answered, "totconns": 2 * len(sizes)}


def test_members_are_reported(site: Site) -> None:
    site.apply(balanced(udp(1), udp(2, weight=0), udp(3, enabled=False)))
    beat = site.lab.hear(lambda beat: "m3" in beat.get("pools", {}).get("udp-pool:udp-1", {}).get("members", {}))
    assert beat["pools"]["udp-pool:udp-1"] == {
        "status": "UP",
        "members": {"m1": "no check", "m2": "DRAIN", "m3": "MAINT"},
    }


def test_a_dead_member_loses_its_clients_and_comes_back(site: Site) -> None:
    # Members answer on port 53 only: what is asked at 54 is refused, and tells that nobody listens.
    checked = monitor(type=MonitorType.UDP_CONNECT, delay=1)
    spec = balanced(udp(1), udp(2, monitor_port=54), monitor=checked)
    site.apply(spec)

    def told(text: str) -> Callable[[dict[str, Any]], bool]:
        return lambda beat: bool(
            beat.get("pools", {}).get("udp-pool:udp-1", {}).get("members", {}).get("m2", "").startswith(text)
        )

    site.lab.hear(told("DOWN"))
    wait_for(lambda: count(ask(site.client) for _ in range(4)) == {"one": 4})
    site.apply(_members(spec, udp(1), udp(2)))
    site.lab.hear(told("UP"))
    wait_for(lambda: count(ask(site.client) for _ in range(4)) == {"one": 2, "two": 2})


def test_a_change_of_one_member_touches_one_chain(site: Site) -> None:
    second = udp_listener(id="udp-2", port=54, default_pool_id="other")
    spec = single((udp_pool(udp(1), udp(2)), udp_pool(udp(3), id="other")), (udp_listener(), second))
    site.apply(spec)

    def handles(text: str) -> list[str]:
        """Of rules: a rule that is written anew has another one."""
        chain, found = "", []
        for line in text.splitlines():
            chain = line.split()[1] if line.startswith("\tchain") else chain
            if line.startswith("\t\t") and "# handle" in line:
                found.append(f"{chain} {line.rsplit(' ', 1)[1]}")
        return found

    before = handles(site.nft("-a list table inet livia"))
    site.apply(replace(spec, pools=(udp_pool(udp(1, weight=5), udp(2)), spec.pools[1])))
    after = handles(site.nft("-a list table inet livia"))
    assert {each.split()[0] for each in set(before) ^ set(after)} == {"pick4-udp-1"}


def test_without_datagram_listeners_there_is_no_router_and_no_table(site: Site) -> None:
    def forwarding() -> str:
        namespace = site.lab.names.amphora("amphora-5")
        return kernel.inside(namespace, lambda: Path("/proc/sys/net/ipv4/ip_forward").read_text().strip())

    site.apply(balanced(udp(1)))
    assert forwarding() == "1"
    site.apply(single((), ()))
    assert (forwarding(), site.nft("list tables")) == ("0", "")
