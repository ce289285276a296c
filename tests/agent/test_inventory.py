"""What an agent holds, and what is left on its host of amphorae that it does not know."""

import msgspec
import pytest

from livia.agent.plumbing import kernel
from livia.core.report import Applied, Held
from tests.agent.lab import Lab, single

LOST = "amphora-lost"


def inventory(lab: Lab) -> dict[str, Held]:
    found = msgspec.json.decode(lab.request("GET", "/v1/inventory").data, type=list[Held])
    return {each.amphora_id: each for each in found}


def remove(lab: Lab, amphora_id: str, fence: int) -> int:
    return lab.request("DELETE", f"/v1/amphorae/{amphora_id}?fence={fence}").status


def test_an_agent_tells_of_what_it_does_not_know_and_removes_it(running: Lab) -> None:
    assert isinstance(running.put(single((), ()), fence=3), Applied)
    namespace = running.names.amphora(LOST)
    kernel.add(namespace)
    (running.config.state_directory / "amphorae" / LOST).mkdir()
    held = inventory(running)
    assert set(held) == {"amphora-5", LOST}
    assert (held["amphora-5"].known, held["amphora-5"].fence) == (True, 3)
    assert (held[LOST].known, held[LOST].remains) == (False, ("a namespace", "files"))
    assert remove(running, LOST, held[LOST].fence) == 204
    assert not kernel.exists(namespace)
    assert set(inventory(running)) == {"amphora-5"}


def test_a_guest_of_its_networks_is_nothing_left_of_an_amphora(running: Lab) -> None:
    namespace = running.names.guest_namespace("demo-web-1")
    kernel.add(namespace)
    try:
        assert inventory(running) == {}
    finally:
        kernel.delete(namespace)


@pytest.mark.parametrize("fence, status", [(2, 409), (3, 204)])
def test_by_the_fence_that_was_seen_nothing_newer_is_removed(running: Lab, fence: int, status: int) -> None:
    assert isinstance(running.put(single((), ()), fence=3), Applied)
    assert remove(running, "amphora-5", fence) == status
    assert ("amphora-5" in inventory(running)) is (status == 409)


def test_of_one_that_was_removed_the_last_fence_is_told(running: Lab) -> None:
    assert isinstance(running.put(single((), ()), fence=3), Applied)
    assert remove(running, "amphora-5", 6) == 204
    namespace = running.names.amphora("amphora-5")
    kernel.add(namespace)
    assert inventory(running)["amphora-5"].fence == 6
    assert remove(running, "amphora-5", 5) == 409
    assert remove(running, "amphora-5", 6) == 204
    assert not kernel.exists(namespace)
