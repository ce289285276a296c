"""Statistics through the API, compared with what clients counted: over a reload and over a failover."""

from typing import Any

from tests.agent.members import Stream, answer, request, response
from tests.system.attributes.site import Balancer, Site, UdpMember
from tests.system.test_lifecycle import amphorae_of
from tests.waiting import wait_for


class Counted:
    """What the clients of one listener sent and got, byte for byte."""

    def __init__(self, balancer: Balancer, port: int = 80) -> None:
        self._balancer = balancer
        self._port = port
        self.bytes_in = self.bytes_out = self.total_connections = 0

    def visit(self, times: int) -> None:
        """Connections with one request each."""
        for number in range(times):
            with self._balancer.connect(self._port) as stream:
                self.total_connections += 1
                self.ask(stream, f"/{'x' * number}")

    def ask(self, stream: Stream, target: str = "/") -> None:
        """One request, answered."""
        asked = request(target=target)
        stream.socket.sendall(asked)
        self.bytes_in += len(asked)
        self.bytes_out += len(answer(response(stream).body.decode()))

    def expected(self) -> dict[str, int]:
        names = ("bytes_in", "bytes_out", "total_connections")
        return {"active_connections": 0, "request_errors": 0, **{name: getattr(self, name) for name in names}}


def _stats(balancer: Balancer, path: str) -> dict[str, Any]:
    found: dict[str, Any] = balancer.api.get(f"{path}/stats")["stats"]
    return found


def _agree(balancer: Balancer, path: str, expected: dict[str, int]) -> None:
    """Wait for the figures, which come with heartbeats, and see that they do not go beyond."""
    try:
        wait_for(lambda: _stats(balancer, path) == expected, 30, "")
    except AssertionError:
        raise AssertionError(f"{path}: expected {expected}, found {_stats(balancer, path)}") from None


def _both_agree(balancer: Balancer, counted: Counted) -> None:
    _agree(balancer, f"/listeners/{balancer.first('listeners')}", counted.expected())
    _agree(balancer, f"/loadbalancers/{balancer.id}", counted.expected())


def test_every_byte_is_counted_once(site: Site) -> None:
    """Through plain use, a connection that outlives a reload, and the failover of each amphora of a pair."""
    pool = site.pool()
    listener = {"name": "web", "protocol": "TCP", "protocol_port": 80, "default_pool": {**pool, "protocol": "TCP"}}
    with site.create("counted", pair=True, listeners=[listener]) as balancer:
        counted = Counted(balancer)
        counted.visit(10)
        _both_agree(balancer, counted)

        with balancer.connect() as kept:
            counted.total_connections += 1
            counted.ask(kept)
            balancer.set_listener(timeout_client_data=40_000)
            counted.ask(kept)
        counted.visit(5)
        _both_agree(balancer, counted)

        before_failover = set(amphorae_of(site.system, balancer.id))
        balancer.api.put(f"/loadbalancers/{balancer.id}/failover", {})
        balancer.wait()
        assert before_failover.isdisjoint(amphorae_of(site.system, balancer.id))
        counted.visit(5)
        _both_agree(balancer, counted)


def test_listeners_of_one_port_are_counted_apart(site: Site) -> None:
    """TCP and UDP on port 53; the load balancer has the sum."""
    server = UdpMember(site.inside, 0)
    tcp = {"name": "tcp", "protocol": "TCP", "protocol_port": 53}
    udp = {**tcp, "name": "udp", "protocol": "UDP"}
    udp["default_pool"] = site.pool(name="udp-members", protocol="UDP", members=[server.body()])
    tcp["default_pool"] = site.pool(name="tcp-members", protocol="TCP")
    try:
        with site.create("apart", listeners=[tcp, udp]) as balancer:
            ids = {each["name"]: each["id"] for each in balancer.created["listeners"]}
            counted = Counted(balancer, 53)
            counted.visit(3)
            assert [balancer.datagram(53) for _ in range(4)] == ["member-0"] * 4
            _agree(balancer, f"/listeners/{ids['tcp']}", counted.expected())
            answers = 4 * len(b"member-0 x")
            flows = _stats(balancer, f"/listeners/{ids['udp']}")["active_connections"]
            of_udp = {"bytes_in": 4, "bytes_out": answers, "total_connections": 4, "request_errors": 0}
            _agree(balancer, f"/listeners/{ids['udp']}", {**of_udp, "active_connections": flows})
            whole = {name: value + of_udp.get(name, flows) for name, value in counted.expected().items()}
            _agree(balancer, f"/loadbalancers/{balancer.id}", whole)
    finally:
        server.stop()
