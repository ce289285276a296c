"""A change that fails half-way: what served goes on serving, says why, and the next change works."""

import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from livia.agent.disk import AmphoraDirectory
from livia.agent.errors import PlumbingError
from livia.agent.plumbing import kernel
from livia.core.model.pool import MonitorType
from livia.core.report import Refused
from tests.agent.datagrams import PORT, ask, serve, udp_listener, udp_pool
from tests.agent.lab import VIP, Lab, end, listener, member, monitor, pair, pool, single
from tests.agent.load import KeptLoad
from tests.waiting import wait_for

_HOLDER = """
import socket, sys, time
stream = socket.create_server((sys.argv[1], 81))
print("bound", flush=True)
time.sleep(60)
"""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Lab]:
    """A lab whose agent keeps its state on a disk of 8 MiB."""
    disk = Path(tempfile.mkdtemp(prefix="lv-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "livia-test", disk], check=True)
    try:
        lab = Lab(tmp_path, state_directory=disk / "state")
        try:
            lab.start()
            yield lab
        finally:
            lab.close()
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
        disk.rmdir()


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def _disk_is_full(*_arguments: object) -> None:
    raise PlumbingError("The disk is full.")


def test_a_worker_that_cannot_start_leaves_the_old_one(running: Lab) -> None:
    running.member("one", "172.31.213.11")
    client = running.namespace("client", "172.31.213.100")
    before = (listener(),)
    more = (*before, listener(id="listener-2", port=81))
    spec = single((pool(member(1)),), before)
    running.apply(spec, 1)
    file = running.config.state_directory / "amphorae" / spec.amphora_id / "haproxy.cfg"
    text = file.read_text()
    inside = ["nsenter", f"--net=/run/netns/{running.names.amphora(spec.amphora_id)}"]
    with subprocess.Popen([*inside, "/usr/bin/python3", "-c", _HOLDER, VIP], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"bound\n"
        with KeptLoad(client, VIP) as load:
            answer = running.put(single((pool(member(1)),), more), 2)
            assert isinstance(answer, Refused)
            assert (answer.code, answer.running_generation) == ("haproxy_refused", 1)
            assert f"{VIP}:81" in answer.details
            assert "cannot bind" in answer.details
            served = sum(load.served.values())
            wait_for(lambda: sum(load.served.values()) > served + 50)
        assert load.failures == []
        assert file.read_text() == text
        end(running.worker_pid(spec.amphora_id))
        wait_for(lambda: running.get(client, VIP) == (200, "one"))
        holder.kill()
    running.apply(single((pool(member(1)),), more), 3)
    assert running.get(client, VIP, port=81) == (200, "one")


def test_a_full_disk_stops_changes_only(small: Lab) -> None:
    small.member("one", "172.31.213.11")
    client = small.namespace("client", "172.31.213.100")
    first = single((pool(member(1)),))
    wanted = single((pool(member(1)),), (listener(timeout_client_data=41000),))
    small.apply(first, 1)
    ballast = small.config.state_directory / "ballast"
    with KeptLoad(client, VIP) as load:
        with pytest.raises(OSError, match="No space left"):
            _fill(ballast)
        for each in (wanted, first, single((pool(member(1)),), number=6)):
            answer = small.put(each, 2)
            if isinstance(answer, Refused):
                assert answer.code == "plumbing_failed"
                assert "No space left on device" in f"{answer.message} {answer.details}"
        assert isinstance(small.put(wanted, 2), Refused)
        assert not kernel.exists(small.names.amphora("amphora-6"))
        ballast.unlink()
        small.apply(wanted, 3)
    assert load.failures == []
    file_now = small.config.state_directory / "amphorae" / first.amphora_id / "haproxy.cfg"
    assert "timeout client 41000" in file_now.read_text()


def test_a_full_disk_silences_nobody_and_traffic_follows_the_verdicts(small: Lab) -> None:
    """A silent amphora is suspected, and a member that only the agent checks is used until somebody says otherwise."""
    serve(small, small.namespace("one", "172.31.213.11"), "one")
    two = serve(small, small.namespace("two", "172.31.213.12"), "two")
    client = small.namespace("client", "172.31.213.100")
    small.apply(single((pool(),), number=6))
    members, checks = (member(1, port=PORT), member(2, port=PORT)), monitor(type=MonitorType.UDP_CONNECT)
    small.apply(single((udp_pool(*members, monitor=checks),), (udp_listener(),)))
    wait_for(lambda: {ask(client) for _ in range(4)} == {"one", "two"})
    with pytest.raises(OSError, match="No space left"):
        _fill(small.config.state_directory / "ballast")
    two.kill()

    def told(beat: dict[str, Any]) -> bool:
        members = beat.get("pools", {}).get("udp-pool:udp-1", {}).get("members", {})
        return str(members.get("m2", "")).startswith("DOWN")

    small.hear(told)
    wait_for(lambda: {ask(client) for _ in range(4)} == {"one"})
    # One that has nothing new to tell goes on as well.
    for _ in range(2):
        small.hear(lambda beat: bool(beat["id"] == "amphora-6"))


def test_what_was_never_recorded_is_removed_with_its_ports(running: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = single((pool(member(1)),))
    with monkeypatch.context() as patch:
        patch.setattr(AmphoraDirectory, "write_record", _disk_is_full)
        assert isinstance(running.put(spec, 1), Refused)
    port = running.names.port(spec.interfaces[0].port_id)
    assert port in running.fabric.links()
    # Whatever still has a socket in it keeps a namespace alive that has no name any more.
    with kernel.inside(running.names.amphora(spec.amphora_id), socket.socket):
        assert running.remove(spec.amphora_id) == 204
        assert port not in running.fabric.links()


def test_a_creation_that_failed_at_its_end_is_done_anew(running: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    running.member("one", "172.31.213.11")
    client = running.namespace("client", "172.31.213.100")
    with monkeypatch.context() as patch:
        patch.setattr(AmphoraDirectory, "write_record", _disk_is_full)
        assert isinstance(running.put(pair((pool(member(1)),))[0], 1), Refused)
    wanted = pair((pool(member(1)),), (listener(), listener(id="listener-2", port=81)))[0]
    running.apply(wanted, 2)
    # HAProxy of the first attempt had no such port, and nobody would have told keepalived that it answers.
    wait_for(lambda: running.get(client, VIP, port=81) == (200, "one"))


def test_a_track_file_and_a_process_id_that_a_full_disk_took_are_made_good(running: Lab) -> None:
    running.member("one", "172.31.213.11")
    client = running.namespace("client", "172.31.213.100")
    first, _second = pair((pool(member(1)),))
    running.apply(first, 1)
    wait_for(lambda: running.get(client, VIP) == (200, "one"))
    directory = running.config.state_directory / "amphorae" / first.amphora_id
    (directory / "track").write_text("-254\n")
    (directory / "k.pid").write_text("")
    wait_for(lambda: running.get(client, VIP)[0] == 0)
    running.apply(first, 2)
    wait_for(lambda: running.get(client, VIP) == (200, "one"))
    wait_for(lambda: (directory / "k.pid").read_text().strip().isdigit())
