"""Certificates that last for seconds: agents, worker and health manager renew them under traffic and under changes."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.conftest import System, make_system
from tests.system.test_lifecycle import create, load_on
from tests.waiting import wait_for

#: each is renewed after some five seconds, and lasts for ten more on a machine that has no time for that
SHORT = """
[certificates]
cert_validity_time = 15
[house_keeping]
cert_interval = 1
cert_expiry_buffer = 10
"""


@pytest.fixture
def short_lived() -> Iterator[System]:
    yield from make_system(SHORT)


def test_certificates_and_authorities_are_renewed_under_traffic(short_lived: System) -> None:
    system = short_lived
    state = system.livia.installation.state
    load_balancer = create(system, "renewed", {"one": system.stage.start_backend("one")})
    pool = system.api.get(f"/loadbalancers/{load_balancer['id']}")["loadbalancer"]["pools"][0]["id"]
    files = (state.agent_certificate, state.controller_certificate)
    first, authorities = _read(files), _read((state.agents_ca, state.controllers_ca))
    begun = time.monotonic()
    with load_on(load_balancer) as load:
        told = subprocess.run(system.livia.command("ca", "rotate"), capture_output=True, text=True, check=True).stdout
        assert "a new authority is trusted from now on" in told
        changes = 0
        # Longer than the first certificates lasted.
        while time.monotonic() - begun < 18 or len(_read((state.agents_ca,))[0]) > len(authorities[0]):
            changes += 1
            system.api.put(f"/pools/{pool}", {"pool": {"name": f"pool {changes}"}})
            system.api.wait_active(load_balancer["id"], seconds=30.0)
            time.sleep(0.2)
            assert time.monotonic() - begun < 120, "the earlier authority is still trusted"
        wait_for(lambda: set(_read((state.controllers_ca,))).isdisjoint(authorities), 30)
        wait_for(lambda: set(_read(files)).isdisjoint(first), 30)
        system.api.put(f"/pools/{pool}", {"pool": {"name": "last"}})
        system.api.wait_active(load_balancer["id"], seconds=30.0)
    assert load.faults() == []
    assert load.total() > 100
    assert changes > 5


def _read(paths: tuple[Path, ...]) -> list[bytes]:
    return [path.read_bytes() for path in paths]
