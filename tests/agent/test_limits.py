"""How many connections a listener takes at one time."""

from typing import Any

import pytest

from tests.agent.lab import VIP, listener, member, pool
from tests.agent.members import HttpServer, connect, request, response
from tests.agent.site import Site

LIMITED, NONE, OWN, ABOVE = 80, 81, 82, 83


@pytest.fixture(scope="module")
def site(site: Site) -> Site:
    site.apply(
        (pool(member(1, port=8001)),),
        listener(id="limited", port=LIMITED, connection_limit=3),
        listener(id="none", port=NONE, connection_limit=0),
        listener(id="own", port=OWN, connection_limit=-1),
        listener(id="above", port=ABOVE, connection_limit=2_000_000_000),
    )
    return site


def _status(beat: dict[str, Any]) -> Any:
    return beat["listeners"].get("limited", {}).get("status")


def test_a_full_listener_says_so_and_serves_the_next_when_one_leaves(site: Site) -> None:
    with HttpServer(site.members, 8001):
        streams = [connect(site.client, VIP, LIMITED) for _ in range(4)]
        for stream in streams:
            stream.socket.sendall(request())
        assert [response(stream).status for stream in streams[:3]] == [200, 200, 200]
        site.lab.hear(lambda beat: _status(beat) == "FULL")
        # The fourth is connected to the kernel, which waits for HAProxy.
        streams[3].socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            response(streams[3])
        streams[3].socket.settimeout(5)
        streams[0].socket.close()
        assert response(streams[3]).status == 200
        for stream in streams:
            stream.socket.close()
        site.lab.hear(lambda beat: _status(beat) == "OPEN")


def test_without_a_limit_of_its_own_a_listener_has_the_process_s(site: Site) -> None:
    limits = {name: int(site.counted(name, "FRONTEND", "slim")) for name in ("limited", "none", "own", "above")}
    whole = int(site.worker.ask("show info").partition("\nMaxconn: ")[2].split()[0])
    assert limits == {"limited": 3, "none": whole, "own": whole, "above": 2_000_000_000}
    with HttpServer(site.members, 8001):
        assert [site.ask(port)[0] for port in (NONE, OWN, ABOVE)] == [200, 200, 200]
