"""A change that HAProxy refuses, seen through the API: what served goes on serving, and HAProxy says why."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from livia.agent.names import Names
from livia.agent.plumbing import kernel
from tests.system.conftest import System
from tests.system.test_lifecycle import amphorae_of, create, delete, load_on
from tests.waiting import wait_for

PORT = 81


@contextmanager
def occupied(system: System, load_balancer_id: str) -> Iterator[None]:
    """Somebody else listens on PORT wherever an amphora of the load balancer would."""
    names = Names(system.livia.installation.state.agent_directory)
    with ExitStack() as held:
        for amphora_id in amphorae_of(system, load_balancer_id):
            # All addresses: the VIP is not on an amphora that stands by.
            stream = kernel.inside(names.amphora(amphora_id), lambda: socket.create_server(("", PORT)))
            held.enter_context(stream)
        yield


def test_a_port_that_is_taken_is_told_in_haproxys_words_and_disturbs_nobody(system: System) -> None:
    load_balancer = create(system, "refused", {"web-1": system.stage.start_backend("web-1")})
    key, pool = load_balancer["id"], load_balancer["pools"][0]["id"]
    first, api = load_balancer["listeners"][0]["id"], system.api

    def status(path: str, kind: str) -> str:
        return str(api.get(path)[kind]["provisioning_status"])

    with load_on(load_balancer) as load, load_on(load_balancer, fresh=True) as fresh:
        with occupied(system, key):
            wanted = {"loadbalancer_id": key, "protocol": "HTTP", "protocol_port": PORT, "default_pool_id": pool}
            second = api.post("/listeners", {"listener": wanted})["listener"]["id"]
            wait_for(lambda: status(f"/loadbalancers/{key}", "loadbalancer") == "ERROR", 30, "ERROR is shown")
            assert status(f"/listeners/{second}", "listener") == "ERROR"
            assert status(f"/listeners/{first}", "listener") == "ACTIVE"
            told = [each for each in api.get(f"/loadbalancers/{key}/events")["events"] if each["severity"] == "ERROR"]
            assert [each["code"] for each in told] == ["load_balancer.error"]
            assert "cannot bind socket" in told[0]["message"]
            assert f":{PORT}]" in told[0]["message"]
            served = load.total(), fresh.total()
            wait_for(lambda: load.total() > served[0] + 50 and fresh.total() > served[1] + 50, 30, "it serves on")
        # The next change takes the refused one along: the whole of what is wanted is sent.
        api.put(f"/listeners/{first}", {"listener": {"timeout_client_data": 41000}})
        api.wait_active(key)
        assert status(f"/listeners/{second}", "listener") == "ACTIVE"
        with load_on(load_balancer, port=PORT) as other:
            wait_for(lambda: other.total() > 20, 30, "the second listener answers")
    assert [*load.faults(), *fresh.faults(), *other.faults()] == []
    delete(system, load_balancer)
