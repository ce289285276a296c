"""QoS policies and users' ports of local networks, through the API."""

import pytest

from livia.core.clock import SystemClock
from livia.core.drivers import DriverError
from livia.drivers.network.local import LocalNetworks
from livia.store.engine import Database
from tests.api.conftest import MakeHarness
from tests.api.networks import MISSING


def test_qos_policies_of_local_networks(make: MakeHarness, database: Database) -> None:
    networks = LocalNetworks(database, SystemClock())
    harness = make(network=networks)
    (subnet_id,) = networks.create("private", "10.77.0.0/24").subnet_ids
    policy = networks.qos.create("gold", max_kbps=1000, direction="both")
    unknown = {"loadbalancer": {"vip_subnet_id": subnet_id, "vip_qos_policy_id": MISSING}}
    harness.refused("POST", "/loadbalancers", unknown, 400, f"qos_policy {MISSING} not found.")
    created = harness.load_balancer(vip_subnet_id=subnet_id, vip_qos_policy_id=policy.id)
    assert created["vip_qos_policy_id"] == policy.id
    with pytest.raises(DriverError, match="VIP has this QoS policy"):
        networks.qos.delete(policy.id)
    named = harness.client.request("GET", "/v2.0/qos/policies", root="", query="name=gold").json["policies"]
    assert [each["id"] for each in named] == [policy.id]
    assert {rule["direction"] for rule in named[0]["rules"]} == {"egress", "ingress"}
    change = {"loadbalancer": {"vip_qos_policy_id": None}}
    assert harness.client.put(f"/loadbalancers/{created['id']}", change).status == 200
    networks.qos.delete(policy.id)
    assert networks.qos_policies() == ()


def test_a_port_is_one_load_balancers(make: MakeHarness, database: Database) -> None:
    networks = LocalNetworks(database, SystemClock())
    harness = make(network=networks)
    port = networks.create_port("mine", networks.create("private", "10.77.0.0/24"), ["10.77.0.50"])
    body = {"loadbalancer": {"vip_port_id": port.id}}
    dry = harness.client.request("POST", "/loadbalancers", body, query="dry_run=true")
    assert dry.status < 300
    assert networks.port(port.id) == port
    first = harness.load_balancer(vip_subnet_id=None, vip_port_id=port.id)
    assert first["vip_address"] == "10.77.0.50"
    harness.refused("POST", "/loadbalancers", body, 400, f"Port {port.id} is already used by device lb-{first['id']}")
    with pytest.raises(DriverError, match="in use"):
        networks.delete_idle_port(port.id)


class _LateClaim(LocalNetworks):
    """Somebody else takes the port between looking at it and taking it."""

    def claim_vip_port(self, port_id: str, load_balancer_id: str) -> None:
        super().claim_vip_port(port_id, "another")
        super().claim_vip_port(port_id, load_balancer_id)


def test_of_two_load_balancers_on_a_port_one_is_refused(make: MakeHarness, database: Database) -> None:
    networks = _LateClaim(database, SystemClock())
    harness = make(network=networks)
    port = networks.create_port("mine", networks.create("private", "10.77.0.0/24"))
    answer = harness.client.post("/loadbalancers", {"loadbalancer": {"vip_port_id": port.id}})
    assert (answer.status, answer.fault) == (409, f"Port {port.id} is already used by device lb-another")
    networks.release_vip_port(port.id, "not the one")
    assert networks.port(port.id) != port
    networks.release_vip_port(port.id, "another")
    assert networks.port(port.id) == port


def test_a_port_is_free_again_when_the_load_balancer_could_not_be_stored(make: MakeHarness, database: Database) -> None:
    networks = LocalNetworks(database, SystemClock())
    harness = make(network=networks)
    port = networks.create_port("mine", networks.create("private", "10.77.0.0/24"))
    graph = [{"protocol": "HTTP", "protocol_port": 80}] * 2
    body = {"loadbalancer": {"vip_port_id": port.id, "listeners": graph}}
    assert harness.client.post("/loadbalancers", body).status >= 400
    assert networks.port(port.id) == port
