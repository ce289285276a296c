"""UDP when an agent, an amphora or a host goes away; and as much of SCTP as a kernel without its sockets shows."""

import socket
import struct
import subprocess

import msgspec
import pytest
from msgspec.structs import replace

from livia.agent.datagram.conntrack import Conntrack
from livia.agent.plumbing import kernel
from livia.core.model.listener import ListenerProtocol
from livia.core.model.pool import Algorithm, PersistenceType, PoolProtocol
from livia.core.spec import MemberSpec, PersistenceSpec, PoolSpec, Spec
from tests.agent.datagrams import PORT, Client, ask, asking, clients, count, serve, udp_listener, udp_pool
from tests.agent.lab import VIP, Lab, member, pair, single
from tests.agent.test_crashes import _reboot
from tests.waiting import wait_for

#: how often all clients' member is taken away
_TURNS = 10


def _members(lab: Lab) -> str:
    """Two members; returns a client's namespace."""
    for number, name in enumerate(("one", "two"), 1):
        serve(lab, lab.namespace(name, f"172.31.213.{10 + number}"), name)
    client = lab.namespace("client", "172.31.213.100")
    for last in range(101, 121):
        kernel.ip(["-n", client, "address", "add", f"172.31.213.{last}/24", "dev", "eth0"])
    return client


def _udp(number: int, **changes: bool) -> MemberSpec:
    return member(number, port=PORT, **changes)


def _nft(lab: Lab, amphora_id: str, command: str) -> str:
    inside = ["nsenter", f"--net=/run/netns/{lab.names.amphora(amphora_id)}", "nft", *command.split()]
    return subprocess.run(inside, check=True, capture_output=True, text=True).stdout


def _sources(lab: Lab, client: str) -> list[str | None]:
    return [ask(client, source=f"172.31.213.{last}") for last in range(100, 121)]


def test_clients_continue_with_the_peer_of_a_vanished_master_at_the_same_members(running: Lab) -> None:
    client = _members(running)
    sticky = PersistenceSpec(type=PersistenceType.SOURCE_IP)
    first, second = pair((udp_pool(_udp(1), _udp(2), persistence=sticky),), (udp_listener(),))
    running.apply(first)
    running.apply(second)
    wait_for(lambda: ask(client) in ("one", "two"))
    before = _sources(running, client)
    assert set(before) == {"one", "two"}
    with Client(client) as opened:
        assert opened.ask() == before[0]
        master = first if _holds(running, first) else second
        running.fabric.unplug([running.names.port(master.interfaces[0].port_id)])
        # What remembers clients is not shared; what they are first sent to is.
        wait_for(lambda: opened.ask() == before[0], 30)
    assert _sources(running, client) == before


def _holds(lab: Lab, spec: Spec) -> bool:
    return bool(lab.request("GET", f"/v1/amphorae/{spec.amphora_id}").json()["holds_vip"])


def test_flows_counters_and_turns_outlive_the_agent(lab: Lab) -> None:
    lab.spawn()
    client = _members(lab)
    spec = single((udp_pool(_udp(1), _udp(2)),), (udp_listener(),))
    lab.apply(spec)
    with clients(client, 3) as opened:
        before = [each.ask() for each in opened]
        rules = _nft(lab, spec.amphora_id, "-a -s list table inet livia")
        lab.kill()
        assert [each.ask() for each in opened] == before
        lab.spawn()
        assert _nft(lab, spec.amphora_id, "-a -s list table inet livia").split() != []
        # Not one rule was written anew: each kept the handle that it had.
        assert _handles(_nft(lab, spec.amphora_id, "-a -s list table inet livia")) == _handles(rules)
        assert [each.ask() for each in opened] == before
        # Three flows were one, two, one: it is the second's turn.
        assert ask(client) == "two"


def _handles(listing: str) -> list[str]:
    chains = [each for each in listing.split("\tchain ") if "pick" in each or "limit" in each or "carry" in each]
    return [line.strip() for chain in chains for line in chain.splitlines() if "# handle" in line]


def test_an_amphora_whose_packet_rules_or_namespace_are_gone_does_not_claim_to_forward(running: Lab) -> None:
    spec = single((udp_pool(_udp(1)),), (udp_listener(),))
    running.apply(spec)

    def forwards() -> bool:
        return bool(running.request("GET", f"/v1/amphorae/{spec.amphora_id}").json()["forwarding"])

    assert forwards()
    rules = _nft(running, spec.amphora_id, "-s list table inet livia")
    _nft(running, spec.amphora_id, "delete table inet livia")
    assert not forwards()
    inside = ["nsenter", f"--net=/run/netns/{running.names.amphora(spec.amphora_id)}", "nft", "-f", "-"]
    subprocess.run(inside, check=True, input=rules, text=True)
    assert forwards()
    # What runs in it keeps the namespace alive, but nobody can manage it any more.
    kernel.delete(running.names.amphora(spec.amphora_id))
    assert not forwards()


def test_members_that_went_while_no_agent_ran_keep_no_flow(lab: Lab) -> None:
    lab.spawn()
    client = _members(lab)
    spec = single((udp_pool(_udp(1), _udp(2)),), (udp_listener(),))
    lab.apply(spec)
    with clients(client, 2) as opened:
        assert count(each.ask() for each in opened) == {"one": 1, "two": 1}
        lab.kill()
        record = lab.config.state_directory / "amphorae" / spec.amphora_id / "applied.json"
        told = msgspec.json.decode(record.read_bytes())
        told["assignment"]["spec"]["pools"][0]["members"].pop()
        record.write_bytes(msgspec.json.encode(told))
        lab.spawn()
        assert {each.ask() for each in opened} == {"one"}


@pytest.mark.parametrize(
    "turns",
    [
        ((_udp(1),), (_udp(2),)),
        ((_udp(1), _udp(2, enabled=False)), (_udp(1, enabled=False), _udp(2))),
    ],
    ids=["removed", "disabled"],
)
def test_answers_under_way_arrive_when_their_member_is_taken_away(
    running: Lab, turns: tuple[tuple[MemberSpec, ...], ...]
) -> None:
    for number, name in enumerate(("one", "two"), 1):
        serve(running, running.namespace(name, f"172.31.213.{10 + number}"), name, delay=0.005)
    client = running.namespace("client", "172.31.213.100")
    running.apply(single((udp_pool(*turns[1]),), (udp_listener(),)))
    with asking(client, 6, pause=0.01) as answers:
        for generation in range(2, 2 + _TURNS):
            # Every change takes away the member that all of them ask.
            running.apply(single((udp_pool(*turns[generation % 2]),), (udp_listener(),)), generation)
            heard = len(answers)
            wait_for(lambda: len(answers) >= heard + 12)  # noqa: B023
    # Without care for what is under way each tenth is lost.
    assert count(answers).keys() == {"one", "two"}


def test_a_client_that_is_never_answered_moves_on_as_well(running: Lab) -> None:
    serve(running, running.namespace("one", "172.31.213.11"), "one")
    # Neither an answer nor an error comes from there.
    silent = running.namespace("two", "172.31.213.12")
    client = running.namespace("client", "172.31.213.100")
    with kernel.inside(silent, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as member_socket:
        member_socket.bind(("", PORT))
        running.apply(single((udp_pool(_udp(2)),), (udp_listener(),)))
        with Client(client) as asking_client:
            assert asking_client.ask() is None
            running.apply(single((udp_pool(_udp(1)),), (udp_listener(),)), 2)
            assert asking_client.ask() == "one"


def test_after_a_reboot_datagrams_are_balanced_from_disk(lab: Lab) -> None:
    lab.spawn()
    _members(lab)
    spec = single((udp_pool(_udp(1), _udp(2)),), (udp_listener(),))
    lab.apply(spec)
    lab.kill()
    _reboot(lab)
    lab.spawn()
    wait_for(lambda: lab.request("GET", f"/v1/amphorae/{spec.amphora_id}").json()["forwarding"])
    again = lab.namespace("again", "172.31.213.12")
    serve(lab, again, "again")
    client = lab.namespace("client-2", "172.31.213.99")
    wait_for(lambda: "again" in {ask(client), ask(client)})


_CRC32C = 0x82F63B78


def _crc32c(data: bytes) -> int:
    """RFC 9260, appendix A."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (_CRC32C if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def _init_packet(port: int) -> bytes:
    """An SCTP packet with an INIT chunk (RFC 9260, section 3.3.2)."""
    chunk = struct.pack("!BBHIIHHI", 1, 0, 20, 0x1234, 65536, 1, 1, 7)
    head = struct.pack("!HHI", 40000, port, 0)
    return head + struct.pack("<I", _crc32c(head + bytes(4) + chunk)) + chunk


def test_an_sctp_association_is_sent_to_its_member(running: Lab) -> None:
    """This kernel has no SCTP sockets (`socket()` says that the protocol is not supported), so there is nobody to
    answer the INIT: it stops at the member's door, where a raw socket sees it come with its address translated."""
    listener = udp_listener(id="sctp-1", protocol=ListenerProtocol.SCTP, port=3868)
    members = PoolSpec(
        id="udp-pool",
        protocol=PoolProtocol.SCTP,
        algorithm=Algorithm.ROUND_ROBIN,
        members=(member(1, port=3869),),
    )
    place = running.namespace("one", "172.31.213.11")
    client = running.namespace("client", "172.31.213.100")
    spec = single((members,), (listener,))
    running.apply(spec)

    def raw() -> socket.socket:
        return socket.socket(socket.AF_INET, socket.SOCK_RAW, 132)

    with kernel.inside(place, raw) as door, kernel.inside(client, raw) as sender:
        door.settimeout(2)
        sender.sendto(_init_packet(3868), (VIP, 0))
        packet, (source, _port) = door.recvfrom(2048)
    assert source == "172.31.213.5"
    assert struct.unpack_from("!H", packet, 22)[0] == 3869
    checked = packet[20:28] + bytes(4) + packet[32:]
    assert struct.unpack_from("<I", packet, 28)[0] == _crc32c(checked)
    beat = running.hear(lambda beat: beat["listeners"].get("sctp-1", {"stats": {"totconns": 0}})["stats"]["totconns"])
    # The INIT chunk, without the common header.
    assert beat["listeners"]["sctp-1"]["stats"]["rx"] == 20
    flows = Conntrack(running.names.amphora(spec.amphora_id))
    try:
        assert sum(flows.marks().values()) == 1
        running.apply(replace(spec, pools=(replace(members, members=()),)), 2)
        assert flows.marks() == {}
    finally:
        flows.close()


def test_a_sample_of_many_flows_stands_for_all_of_them(running: Lab) -> None:
    client = _members(running)
    spec = single((udp_pool(_udp(1), _udp(2)),), (udp_listener(),))
    running.apply(spec)
    flows = Conntrack(running.names.amphora(spec.amphora_id))
    try:
        with clients(client, 900) as opened:
            for each in opened:
                each.ask()
            assert sorted(flows.marks().values()) == [450, 450]
            followed, most = flows.occupied()
            assert followed == 900 < most
            sample = sorted(flows.marks(100).values())
            # Less than half of them were read.
            assert sum(sample) in range(899, 902)
            assert sample[0] > 300
            # The next listing is a whole one again.
            assert sorted(flows.marks().values()) == [450, 450]
    finally:
        flows.close()
