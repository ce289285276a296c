"""HAProxy processes that reloads replaced end with their last connection, and the agent says how many there are."""

import re
import socket
from contextlib import ExitStack

from livia.agent.haproxy.master import Master
from livia.agent.plumbing import kernel
from livia.core.model.listener import ListenerProtocol
from tests.agent.exchange import still_answers
from tests.agent.lab import VIP, Lab, listener, member, pool, single
from tests.waiting import wait_for


def _connect(namespace: str) -> socket.socket:
    """A byte stream through the VIP that has been answered once."""
    stream = kernel.inside(namespace, lambda: socket.create_connection((VIP, 80), timeout=5))
    assert still_answers(stream)
    return stream


def test_old_processes_end_with_their_last_connection_and_are_counted(running: Lab) -> None:
    running.member("one", "172.31.213.11")
    client = running.namespace("client", "172.31.213.100")
    master = Master(running.config.state_directory / "amphorae" / "amphora-5")

    def reload(number: int) -> None:
        bytes_ = listener(protocol=ListenerProtocol.TCP, timeout_member_data=50000 + number)
        running.apply(single((pool(member(1)),), (bytes_,)), number)

    def counted(name: str) -> float:
        text = running.request("GET", "/metrics").data.decode()
        found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
        assert found is not None
        return float(found[1])

    with ExitStack() as streams:
        held = []
        for number in range(1, 6):
            reload(number)
            held.append(streams.enter_context(_connect(client)))
        assert len(master.processes().leaving) == len(held) - 1
        wait_for(lambda: counted("livia_agent_old_workers") == len(held) - 1)
        assert counted("livia_agent_old_workers_most") == len(held) - 1
        # One without connections ends at once.
        held.pop(1).close()
        wait_for(lambda: len(master.processes().leaving) == len(held) - 1)
        assert all(still_answers(stream) for stream in held)
        wait_for(lambda: counted("livia_agent_old_workers") == len(held) - 1)
