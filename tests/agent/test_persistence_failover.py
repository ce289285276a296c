"""Clients stay at their members when the amphora that knows them is lost: tables are replicated between the two."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from msgspec.structs import replace

from livia.agent.haproxy.runtime import Worker
from livia.agent.plumbing import kernel
from livia.core.model.pool import PersistenceType
from livia.core.spec import InterfaceAddress, Peer, PersistenceSpec, PoolSpec, Spec
from tests.agent.lab import VIP, Lab, end, listener, member, pair, pool
from tests.agent.members import HttpServer, ask, connect, request, response
from tests.agent.site import CLIENT, MEMBERS
from tests.agent.stick_tables import known, session_member, settled
from tests.waiting import wait_for

NAMES = ("m1", "m2", "m3")
CLIENTS = [f"172.31.213.{number}" for number in range(101, 107)]
BY_ADDRESS = PersistenceSpec(type=PersistenceType.SOURCE_IP)
BY_SESSION = PersistenceSpec(type=PersistenceType.APP_COOKIE, cookie_name="sid")


class Duo:
    """A pair of amphorae, of which one may be lost and replaced, with clients at ports 80 and 81."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.client = lab.namespace("client", CLIENT)
        self.members = lab.namespace("members", MEMBERS)
        kernel.batch(self.client, [f"address replace {each}/32 dev eth0" for each in CLIENTS])
        self.specs: tuple[Spec, ...] = ()
        self._generation = 0

    def apply(self, *specs: Spec) -> None:
        self.specs = specs
        self._generation += 1
        for spec in specs:
            self._lab.apply(spec, self._generation)
        wait_for(lambda: ask(self.client, VIP, 80).status == 200)

    def worker(self, spec: Spec) -> Worker:
        return Worker(self._lab.config.state_directory / "amphorae" / spec.amphora_id)

    def master(self) -> Spec:
        return next(spec for spec in self.specs if self._holds(spec))

    def other(self) -> Spec:
        return next(spec for spec in self.specs if not self._holds(spec))

    def _holds(self, spec: Spec) -> bool:
        return bool(self._lab.request("GET", f"/v1/amphorae/{spec.amphora_id}").json()["holds_vip"])

    def lose_haproxy(self) -> None:
        """kill -9 the master's."""
        lost, heir = self.master(), self.other()
        end(self._lab.worker_pid(lost.amphora_id))
        wait_for(lambda: self._holds(heir) and ask(self.client, VIP, 80).status == 200)

    def lose_amphora(self) -> Spec:
        """Remove the master. The one that is left."""
        lost, heir = self.master(), self.other()
        assert self._lab.remove(lost.amphora_id) == 204
        wait_for(lambda: self._holds(heir) and ask(self.client, VIP, 80).status == 200)
        return heir

    def homes(self) -> dict[str, str]:
        """Who serves each client, by address and by session."""
        return {each: self._home(each, 80) for each in CLIENTS} | {
            f"session {each}": self._home(CLIENT, 81, f"Cookie: sid={each}") for each in CLIENTS
        }

    def _home(self, source: str, port: int, *lines: str) -> str:
        with connect(self.client, VIP, port, source=source) as stream:
            stream.socket.sendall(request(*lines, "Connection: close"))
            return response(stream).body.decode()

    def log_in(self) -> None:
        for each in CLIENTS:
            ask(self.client, VIP, 81, f"X-Set: sid={each}")

    def replicated(self, spec: Spec) -> None:
        """Wait until an amphora knows all clients: also CLIENT itself, that looked whether the VIP answers."""
        known(self.worker(spec), "pool-1", len(CLIENTS) + 1)
        known(self.worker(spec), "app", len(CLIENTS))


def _pools() -> tuple[PoolSpec, ...]:
    members = [member(int(name[1:]), address=MEMBERS, port=8000 + int(name[1:])) for name in NAMES]
    return pool(*members, persistence=BY_ADDRESS), pool(*members, id="app", persistence=BY_SESSION)


@pytest.fixture
def duo(running: Lab) -> Iterator[Duo]:
    made = Duo(running)
    with ExitStack() as stack:
        for name in NAMES:
            stack.enter_context(HttpServer(made.members, 8000 + int(name[1:]), session_member(name)))
        yield made


def _over_ipv6(spec: Spec, number: int) -> Spec:
    own = (*spec.interfaces[0].addresses, InterfaceAddress(address=f"fd31::{number}/64"))
    peers = tuple(Peer(amphora_id=each.amphora_id, address=f"fd31::{each.address[-1]}") for each in spec.peers)
    return replace(spec, interfaces=(replace(spec.interfaces[0], addresses=own),), peers=peers)


@pytest.mark.parametrize("version", [4, 6])
def test_clients_stay_when_amphorae_are_lost_one_after_the_other(duo: Duo, version: int) -> None:
    listeners = (listener(), listener(id="app", port=81, default_pool_id="app"))
    first, second = pair(_pools(), listeners)
    if version == 6:
        first, second = _over_ipv6(first, 5), _over_ipv6(second, 6)
    duo.apply(first, second)
    duo.log_in()
    homes = duo.homes()
    assert set(homes.values()) == set(NAMES)
    duo.replicated(duo.other())
    duo.lose_haproxy()
    assert duo.homes() == homes
    # The killed one starts empty, and learns from the other.
    duo.replicated(duo.other())

    heir = duo.lose_amphora()
    assert duo.homes() == homes
    settled(duo.worker(heir))
    newcomer, heir = _replacement(heir)
    duo.apply(heir, newcomer)
    duo.replicated(heir)
    duo.replicated(newcomer)
    duo.lose_amphora()
    assert duo.homes() == homes


def _replacement(heir: Spec) -> tuple[Spec, Spec]:
    """A third amphora beside the one that is left, and that one's spec with it."""
    own = next(peer for peer in heir.peers if peer.amphora_id == heir.amphora_id)
    address = own.address[:-1] + "7"
    peers = (own, Peer(amphora_id="amphora-7", address=address))
    assert heir.vrrp is not None
    text = replace(heir.interfaces[0], mac="02:77:00:01:00:07", port_id="port-7")
    addresses = tuple(
        InterfaceAddress(address=each.address.partition("/")[0][:-1] + "7/" + each.address.partition("/")[2])
        for each in text.addresses
    )
    source = heir.vrrp.source[:-1] + "7"
    newcomer = replace(
        heir,
        amphora_id="amphora-7",
        interfaces=(replace(text, addresses=addresses),),
        vrrp=replace(heir.vrrp, priority=240, source=source, peers=(heir.vrrp.source,)),
        peers=peers,
    )
    return newcomer, replace(heir, vrrp=replace(heir.vrrp, peers=(source,)), peers=peers)
