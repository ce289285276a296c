"""What an agent says by itself, read with an independent decoder."""

import socket
import subprocess
import time
from contextlib import suppress
from uuid import uuid4

import pytest

from livia.agent.heartbeat import Sender
from livia.agent.plumbing import kernel
from livia.core.report import Heartbeat, PoolReport
from tests.agent.lab import KEY, VIP, Lab, decode, member, monitor, pair, pool, single


def test_a_beat_says_all_that_the_contract_asks_for(running: Lab) -> None:
    running.member("one", "172.31.213.11")
    client = running.namespace("client", "172.31.213.100")
    applied = running.apply(
        single((pool(member(1, weight=0), member(2, enabled=False), member(3), monitor=monitor(rise=3)),)), 7
    )
    first = running.hear(lambda beat: bool(beat["id"] == "amphora-5"))
    assert (first["ver"], first["generation"], first["digest"]) == (3, 7, applied.digest)
    assert first["holds_vip"] is True
    assert first["listeners"]["listener-1"]["status"] == "OPEN"
    name = "pool-1:listener-1"
    told = running.hear(lambda beat: beat["pools"].get(name, {}).get("members", {}).get("m3") == "DOWN")
    assert told["pools"][name]["members"] == {"m1": "DRAIN", "m2": "MAINT", "m3": "DOWN"}
    assert (told["seq"] > first["seq"], told["boot"] == first["boot"]) == (True, True)
    for _ in range(3):
        running.get(client, VIP)
    counted = 0

    def three(beat: dict[str, dict[str, dict[str, dict[str, int]]]]) -> bool:
        nonlocal counted
        if "listener-1" in beat["listeners"]:
            counted += beat["listeners"]["listener-1"]["stats"]["totconns"]
        return counted >= 3

    running.hear(three)


def test_the_host_says_what_it_is(running: Lab) -> None:
    beat = running.hear(lambda beat: bool(beat["id"] == "host-1"))
    assert beat["host"] == {
        "address": "127.0.0.1",
        "agent_port": running.config.bind_port,
        "capacity": 1000,
        "amphorae": 0,
        "availability_zone": None,
    }


def test_counters_outlive_the_agent(running: Lab) -> None:
    running.member("one", "172.31.213.11")
    client = running.namespace("client", "172.31.213.100")
    running.apply(single((pool(member(1)),)))
    for _ in range(3):
        running.get(client, VIP)
    total = 0

    def count(beat: dict[str, dict[str, dict[str, dict[str, int]]]]) -> bool:
        nonlocal total
        if "listener-1" in beat["listeners"]:
            total += beat["listeners"]["listener-1"]["stats"]["totconns"]
        return total >= 4

    running.hear(lambda beat: count(beat) or total >= 3)
    running.stop()
    running.start()
    running.get(client, VIP)
    running.hear(count)
    assert total == 4


@pytest.mark.parametrize(("members", "reports"), [(100, 3), (2500, 1)])
def test_a_pool_of_thousands_that_several_listeners_use_fits_into_a_datagram(members: int, reports: int) -> None:
    """65,507 bytes are all that one has, and who does not fit would be silent for good."""
    report = PoolReport(status="UP", members={str(uuid4()): "UP" for _ in range(members)})
    pool, other = str(uuid4()), f"{uuid4()}:{uuid4()}"
    pools = {other: PoolReport(status="DOWN"), **{f"{pool}:{uuid4()}": report for _ in range(3)}}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as controller:
        controller.bind(("127.0.0.1", 0))
        controller.settimeout(5)
        sender = Sender(KEY, (("127.0.0.1", controller.getsockname()[1]),), time.time)
        try:
            sender.send(Heartbeat(id="amphora-1", seq=0, pools=pools))
        finally:
            sender.close()
        told = decode(controller.recv(65536))["pools"]
    assert told.pop(other)["status"] == "DOWN"
    assert [(name.partition(":")[0], len(each["members"])) for name, each in told.items()] == [
        (pool, members)
    ] * reports


def test_an_amphora_that_cannot_work_is_silent(running: Lab) -> None:
    first, _second = pair((), ())
    running.apply(first)
    running.hear(lambda beat: bool(beat["id"] == first.amphora_id))
    namespace = running.names.amphora(first.amphora_id)
    service = running.config.state_directory / "s6" / "scan" / f"{first.amphora_id}.k"
    subprocess.run(["s6-svc", "-wD", "-d", str(service)], check=True)
    _two_rounds(running)
    running.hear(lambda beat: _never(beat, first.amphora_id))
    running.apply(first, 2)
    running.hear(lambda beat: bool(beat["id"] == first.amphora_id))
    kernel.delete(namespace)
    _two_rounds(running)
    running.hear(lambda beat: _never(beat, first.amphora_id))


def _two_rounds(lab: Lab) -> None:
    """Let pass what was on its way, and what was told while it was being stopped."""
    lab.beats.setblocking(False)
    with suppress(BlockingIOError):
        while lab.beats.recv(65536):
            pass
    lab.beats.settimeout(30.0)
    for _ in range(2):
        lab.hear(lambda beat: bool(beat["id"] == "host-1"))


def _never(beat: dict[str, object], amphora_id: str) -> bool:
    assert beat["id"] != amphora_id
    return beat["id"] == "host-1"
