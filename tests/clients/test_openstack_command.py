"""`openstack loadbalancer …` as its users run it: python-octaviaclient, unmodified, with traffic flowing."""

import json
import urllib.request
from collections.abc import Iterator

import pytest

from livia.ops.demo.load import Load
from livia.ops.demo.stage import BACKEND_PORT, NETWORK
from tests.clients.shell import Shell
from tests.system.conftest import System
from tests.waiting import wait_for


@pytest.fixture(scope="module")
def client(system: System) -> Iterator[Shell]:
    with Shell(system.endpoint) as shell:
        yield shell


@pytest.fixture(scope="module")
def backends(system: System) -> dict[str, str]:
    return {name: system.stage.start_backend(name) for name in ("web-1", "web-2")}


def test_a_load_balancer_from_first_to_last_command(client: Shell, system: System, backends: dict[str, str]) -> None:
    created = client.show("create", "--name", "shop", "--vip-subnet-id", NETWORK, "--wait")
    assert created["provisioning_status"] == "ACTIVE"
    client.do("listener", "create", "--name", "http", "--protocol", "HTTP", "--protocol-port", "80", "shop")
    pool = ("--name", "servers", "--protocol", "HTTP", "--lb-algorithm", "ROUND_ROBIN", "--listener", "http")
    client.do("pool", "create", *pool)
    for name, address in backends.items():
        member = ("--name", name, "--address", address, "--protocol-port", str(BACKEND_PORT), "servers")
        client.do("member", "create", *member)
    timing = ("--delay", "1", "--timeout", "1", "--max-retries", "1")
    client.do("healthmonitor", "create", "--name", "check", "--type", "HTTP", *timing, "--wait", "servers")

    vip = created["vip_address"]
    with Load(vip, 80, clients=2, pause=0.005, fresh=False, timeout=5.0) as load:
        wait_for(lambda: set(load.who()) == set(backends), 30, "both backends answer")
        _sets(client)
    assert load.faults() == []
    _shows(client, system)

    client.do("member", "delete", "servers", "web-1", "--wait")
    with urllib.request.urlopen(f"http://{vip}/", timeout=30) as answer:
        assert answer.read() == b"web-2\n"
    client.do("healthmonitor", "delete", "check")
    client.do("delete", "--cascade", "--wait", "shop")
    assert client.show("list") == []


def _sets(client: Shell) -> None:
    """Every `set`, under load, and what `show` says afterwards."""
    client.do("set", "--description", "edge", "shop")
    assert client.show("show", "shop")["description"] == "edge"
    client.do("listener", "set", "--connection-limit", "1000", "http")
    assert client.show("listener", "show", "http")["connection_limit"] == 1000
    client.do("pool", "set", "--lb-algorithm", "LEAST_CONNECTIONS", "servers")
    assert client.show("pool", "show", "servers")["lb_algorithm"] == "LEAST_CONNECTIONS"
    client.do("member", "set", "--weight", "5", "servers", "web-1")
    assert client.show("member", "show", "servers", "web-1")["weight"] == 5
    client.do("healthmonitor", "set", "--max-retries-down", "2", "check")
    assert client.show("healthmonitor", "show", "check")["max_retries_down"] == 2


def _shows(client: Shell, system: System) -> None:
    """Lists, the status tree and statistics."""
    assert [each["name"] for each in client.show("list")] == ["shop"]
    assert [each["name"] for each in client.show("listener", "list")] == ["http"]
    assert [each["name"] for each in client.show("pool", "list", "--loadbalancer", "shop")] == ["servers"]
    assert sorted(each["name"] for each in client.show("member", "list", "servers")) == ["web-1", "web-2"]
    assert [each["name"] for each in client.show("healthmonitor", "list")] == ["check"]
    key = client.show("show", "shop")["id"]

    def online() -> bool:
        tree = system.api.get(f"/loadbalancers/{key}/status")["statuses"]["loadbalancer"]
        members = tree["listeners"][0]["pools"][0]["members"]
        return {tree["operating_status"], *(each["operating_status"] for each in members)} == {"ONLINE"}

    wait_for(online, 30, "the load balancer and its members are ONLINE")
    tree = json.loads(client.do("status", "show", "shop"))["loadbalancer"]
    assert tree["listeners"][0]["pools"][0]["members"][0]["operating_status"] == "ONLINE"
    wait_for(
        lambda: system.api.get(f"/loadbalancers/{key}/stats")["stats"]["bytes_out"] > 0, 30, "the traffic is counted"
    )
    assert client.show("stats", "show", "shop")["bytes_in"] > 0
    assert client.show("listener", "stats", "show", "http")["total_connections"] > 0


def test_errors_are_shown_in_our_words(client: Shell) -> None:
    missing = client.run("show", "nothing")
    assert missing.code != 0
    assert "nothing" in missing.err
    subnet = client.run("create", "--name", "x", "--vip-subnet-id", "nowhere")
    assert subnet.code != 0
    taken = client.run("create", "--name", "x", "--vip-subnet-id", NETWORK, "--vip-address", "192.0.2.1")
    assert taken.code != 0
    assert "192.0.2.1 is not an address of subnet" in taken.err
