"""Pools of PROXY and PROXYV2: members are told who the client is (the PROXY protocol of HAProxy, versions 1 and 2)."""

import socket
import struct
from ipaddress import ip_address

import pytest
from msgspec.structs import replace

from livia.agent.plumbing import kernel
from livia.core.model.listener import ListenerProtocol
from livia.core.model.pool import MonitorType, PoolProtocol
from livia.core.spec import InterfaceAddress, VipAddress
from tests.agent.lab import VIP, listener, member, monitor, pool, single
from tests.agent.members import Server, Stream, answer, ask, connect, head, request, response
from tests.agent.site import CLIENT, MEMBERS, Site
from tests.agent.tls_site import termination, tls_listener
from tests.keymaterial import INTERMEDIATE, WEB
from tests.waiting import wait_for

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
CLIENT6, VIP6 = "fd31::64", "fd31::c8"


def introduction(stream: Stream) -> tuple[str, str, int]:
    """Client, destination and its port, strictly as a member that takes nothing else would read them.

    A connection of the balancer itself, such as a health check, is ("LOCAL", "", 0). Raises ValueError.
    """
    start = stream.exactly(6)
    if start != b"PROXY ":
        return _binary(start + stream.exactly(10), stream)
    words = stream.until(b"\r\n").decode().split(" ")
    if words[0] == "UNKNOWN":
        return "LOCAL", "", 0
    family, source, destination, _source_port, port = words
    assert {"TCP4": 4, "TCP6": 6}[family] == ip_address(source).version
    return source, destination, int(port)


def _binary(start: bytes, stream: Stream) -> tuple[str, str, int]:
    signature, kind, family, length = struct.unpack("!12sBBH", start)
    if signature != _SIGNATURE:
        raise ValueError(start)
    rest = stream.exactly(length)
    if kind == 0x20:
        return "LOCAL", "", 0
    assert kind == 0x21
    width, version = {0x11: (4, socket.AF_INET), 0x21: (16, socket.AF_INET6)}[family]
    addresses = [socket.inet_ntop(version, rest[width * index : width * (index + 1)]) for index in (0, 1)]
    return addresses[0], addresses[1], int.from_bytes(rest[2 * width + 2 : 2 * width + 4])


class Strict(Server):
    """A member that hangs up on everybody who does not introduce himself."""

    def __init__(self, namespace: str, port: int) -> None:
        self.met: list[tuple[str, str, int]] = []
        self.refused = 0
        super().__init__(namespace, port, self._meet)

    def _meet(self, stream: Stream) -> None:
        try:
            self.met.append(introduction(stream))
        except ValueError:
            self.refused += 1
            return
        while True:
            head(stream)
            stream.socket.sendall(answer("met"))

    def clients(self) -> list[tuple[str, str, int]]:
        return [each for each in self.met if each[0] != "LOCAL"]


@pytest.mark.parametrize("protocol", [PoolProtocol.PROXY, PoolProtocol.PROXYV2])
@pytest.mark.parametrize("kind", [ListenerProtocol.HTTP, ListenerProtocol.TCP, ListenerProtocol.HTTPS])
def test_members_are_told_who_asks(site: Site, kind: ListenerProtocol, protocol: PoolProtocol) -> None:
    site.apply((pool(member(1, port=8001), protocol=protocol),), listener(protocol=kind))
    with Strict(site.members, 8001) as strict:
        answers = [ask(site.client, VIP, 80).body for _ in range(2)]
    assert answers == [b"met", b"met"]
    assert strict.met == [(CLIENT, VIP, 80)] * 2


@pytest.mark.parametrize("protocol", [PoolProtocol.PROXY, PoolProtocol.PROXYV2])
def test_ipv6_clients_are_told_apart(site: Site, protocol: PoolProtocol) -> None:
    kernel.batch(site.client, [f"address replace {CLIENT6}/64 dev eth0 nodad"])
    spec = single(
        (pool(member(1, port=8001), protocol=protocol),),
        (listener(), listener(id="tcp", port=81, protocol=ListenerProtocol.TCP)),
    )
    interface = replace(
        spec.interfaces[0], addresses=(*spec.interfaces[0].addresses, InterfaceAddress(address="fd31::5/64"))
    )
    site.apply_spec(
        replace(spec, interfaces=(interface,), vips=(*spec.vips, VipAddress(address=VIP6, interface="eth0")))
    )
    with Strict(site.members, 8001) as strict:
        assert [ask(site.client, VIP6, port).body for port in (80, 81)] == [b"met", b"met"]
    assert strict.met == [(CLIENT6, VIP6, 80), (CLIENT6, VIP6, 81)]


@pytest.mark.parametrize("protocol", [PoolProtocol.PROXY, PoolProtocol.PROXYV2])
def test_members_behind_the_end_of_tls_are_told_too(site: Site, protocol: PoolProtocol) -> None:
    pem = WEB.text(INTERMEDIATE)
    site.apply((pool(member(1, port=8001), protocol=protocol),), tls_listener(termination(pem)), texts=(pem,))
    with Strict(site.members, 8001) as strict:
        # Two requests of one connection are two streams of HTTP/2.
        said = site.run("curl", "-sSk", "--http2", f"https://{VIP}/", f"https://{VIP}/again")
    assert said == "metmet"
    assert set(strict.met) == {(CLIENT, VIP, 443)}


def test_connections_are_not_shared_between_clients_nor_opened_for_each_request(site: Site) -> None:
    site.apply((pool(member(1, port=8001), protocol=PoolProtocol.PROXYV2),), listener())
    with Strict(site.members, 8001) as strict:
        for _ in range(2):
            with connect(site.client, VIP, 80) as stream:
                for _request in range(3):
                    stream.socket.sendall(request())
                    assert response(stream).body == b"met"
        assert len(strict.clients()) == 2


@pytest.mark.parametrize("protocol", [PoolProtocol.PROXY, PoolProtocol.PROXYV2])
@pytest.mark.parametrize("kind", [MonitorType.HTTP, MonitorType.TCP])
def test_checks_introduce_themselves(site: Site, kind: MonitorType, protocol: PoolProtocol) -> None:
    check = monitor(type=kind)
    with Strict(site.members, 8001) as strict, Strict(site.members, 8002) as other:
        site.apply((pool(member(1, port=8001), protocol=protocol, monitor=check),), listener())
        wait_for(lambda: strict.met)
        # One that comes at run time is checked in the same way.
        both = (member(1, port=8001), member(2, port=8002, address=MEMBERS))
        site.apply((pool(*both, protocol=protocol, monitor=check),), listener())
        for name in ("m1", "m2"):
            wait_for(lambda: site.counted("pool-1:listener-1", name, "check_status")[:1] == "L")  # noqa: B023
            assert site.counted("pool-1:listener-1", name, "status") == "UP"
        assert (strict.refused, other.refused) == (0, 0)


def test_a_port_of_its_own_for_checks_is_spoken_to_plainly(site: Site) -> None:
    plain: list[str] = []

    def reply(stream: Stream) -> None:
        plain.append(head(stream)[0][0])
        stream.socket.sendall(answer())

    with Server(site.members, 8002, reply):
        checked = pool(member(1, port=8001, monitor_port=8002), protocol=PoolProtocol.PROXY, monitor=monitor())
        site.apply((checked,), listener())
        wait_for(lambda: plain == ["GET"])
