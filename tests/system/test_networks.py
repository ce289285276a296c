"""Load balancers on both IP versions, members on another network and QoS, through the public API."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from livia.agent.names import Names
from livia.agent.plumbing import kernel, segment
from livia.core.drivers import Network
from livia.drivers.network.local import LocalNetworks
from livia.ops import network as networks_command
from livia.ops import ports, qos_policies
from livia.ops.demo import faults
from livia.ops.demo.load import Load
from livia.ops.up import fabric_of
from tests.agent.exchange import fetch
from tests.agent.lab import MEMBER
from tests.system.conftest import System
from tests.system.test_lifecycle import amphorae_of, delete
from tests.waiting import wait_for

_PREFIX = "livia-test-networks"


class Site:
    """A network of both IP versions with the server `near`, and an IPv4 network with the server `beyond`."""

    def __init__(self, system: System) -> None:
        self._installation = system.livia.installation
        self._fabric = fabric_of(self._installation)
        self.networks = LocalNetworks(self._installation.database(), self._installation.clock)
        self.dual = networks_command.create(self._installation, "dual", ["10.81.0.0/24", "fd00:81::/64"])
        self.other = networks_command.create(self._installation, "other", ["10.82.0.0/24"], mtu=9000)
        self._servers: list[subprocess.Popen[bytes]] = []
        self.near = self._serve("near", self.dual)
        self.beyond = self._serve("beyond", self.other)

    def _serve(self, name: str, network: Network) -> dict[int, str]:
        """A web server on port 80 that says its name; its address by IP version."""
        namespace = f"{_PREFIX}-{name}"
        wanted: tuple[tuple[str, str | None], ...] = tuple((subnet_id, None) for subnet_id in network.subnet_ids)
        port = self.networks.create_vip_port(name, "project", network.id, wanted)
        plug = self.networks.plug(port)
        segment.plug_namespace(
            self._fabric, network.id, namespace, mac=plug.mac, addresses=plug.addresses, mtu=network.mtu
        )
        command = ["ip", "netns", "exec", namespace, sys.executable, "-c", MEMBER, name]
        self._servers.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        addresses = {6 if ":" in fixed.ip_address else 4: fixed.ip_address for fixed in port.fixed_ips}
        for address in addresses.values():
            wait_for(_says(name, address), 30, f"{name} serves at {address}")
        return addresses

    def member_ports(self) -> list[str]:
        return [port.name for port in self.networks.ports() if port.name.startswith("octavia-lb-member-")]

    def amphora_namespaces(self) -> list[str]:
        prefix = Names(self._installation.state.agent_directory).prefix
        return sorted(faults.namespaces(prefix) - {self._fabric.namespace})

    def close(self) -> None:
        for server in self._servers:
            server.kill()
            server.wait()
        for name in ("near", "beyond"):
            kernel.delete(f"{_PREFIX}-{name}")
        self._installation.database().engine.dispose()


def _says(name: str, address: str) -> Callable[[], bool]:
    return lambda: fetch(address) == (200, name)


@pytest.fixture(scope="module")
def site(system: System) -> Iterator[Site]:
    made = Site(system)
    try:
        yield made
    finally:
        made.close()


def _create(system: System, members: list[dict[str, Any]], **values: Any) -> dict[str, Any]:
    pool = {"name": "web", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": members}
    listener = {"protocol": "HTTP", "protocol_port": 80, "default_pool": pool}
    created: dict[str, Any] = system.api.post("/loadbalancers", {"loadbalancer": {"listeners": [listener], **values}})
    system.api.wait_active(created["loadbalancer"]["id"])
    loaded: dict[str, Any] = created["loadbalancer"]
    return loaded


def _member(address: str, **values: Any) -> dict[str, Any]:
    return {"address": address, "protocol_port": 80, **values}


def _load(address: str) -> Load:
    return Load(address, 80, clients=2, pause=0.002, fresh=False, timeout=5.0)


def test_both_ip_versions_and_a_member_on_another_network(system: System, site: Site) -> None:
    four, six = site.dual.subnet_ids
    load_balancer = _create(
        system, [_member(site.near[6])], vip_subnet_id=four, additional_vips=[{"subnet_id": six}], name="dual"
    )
    key, pool = load_balancer["id"], load_balancer["pools"][0]["id"]
    vips = load_balancer["vip_address"], load_balancer["additional_vips"][0]["ip_address"]
    assert [":" in vip for vip in vips] == [False, True]
    with _load(vips[0]) as load, _load(vips[1]) as load6:
        beyond = _member(site.beyond[4], subnet_id=site.other.subnet_ids[0], name="beyond")
        member = system.api.post(f"/pools/{pool}/members", {"member": beyond})["member"]
        system.api.wait_active(key)
        assert len(site.member_ports()) == 2
        begin = time.monotonic()
        for each in (load, load6):
            assert each.first_answer_after(begin, who="beyond", timeout=30.0) is not None
        system.api.delete(f"/pools/{pool}/members/{member['id']}")
        system.api.wait_active(key)
        assert site.member_ports() == []
    assert [*load.faults(), *load6.faults()] == []

    wait_for(lambda: any(amphorae_of(system, key).values()), 30, "an amphora reports that it holds the VIPs")
    master = next(each for each, holds in amphorae_of(system, key).items() if holds)
    faults.destroy(system.livia.installation.agent_config(), master)
    for vip in vips:
        wait_for(_says("near", vip), 30, f"{vip} moved")
    wait_for(lambda: master not in amphorae_of(system, key), 30, "the dead amphora is replaced")
    system.api.wait_active(key)
    delete(system, load_balancer)


def test_the_rate_follows_the_qos_policy_of_a_vip_on_a_users_port(system: System, site: Site) -> None:
    installation = system.livia.installation
    slow = qos_policies.create(installation, "slow", max_kbps=2000, burst_kb=80, direction="egress")
    fast = qos_policies.create(installation, "fast", max_kbps=900_000, burst_kb=0, direction="both")
    port = ports.create(installation, "mine", "dual", ["fd00:81::50"])
    profile = {"name": "one", "provider_name": "amphora", "flavor_data": '{"loadbalancer_topology": "SINGLE"}'}
    profile_id = system.api.post("/flavorprofiles", {"flavorprofile": profile})["flavorprofile"]["id"]
    flavor = {"name": "one", "flavor_profile_id": profile_id}
    load_balancer = _create(
        system,
        [_member(site.near[6])],
        vip_port_id=port.id,
        vip_qos_policy_id=slow.id,
        flavor_id=system.api.post("/flavors", {"flavor": flavor})["flavor"]["id"],
    )
    key, vip = load_balancer["id"], load_balancer["vip_address"]
    assert vip == "fd00:81::50"
    with pytest.raises(networks_command.NetworkError, match="in use"):
        ports.delete(installation, "mine")
    (namespace,) = site.amphora_namespaces()
    processes = faults.haproxies(namespace)

    begin = time.monotonic()
    assert fetch(vip, "/bytes/200000")[0] == 200
    # 200 kB at 250 kB/s: all but the burst of 10 kB and the last packet, of up to 64 kB, has to wait.
    assert time.monotonic() - begin >= 0.4
    assert _limits(namespace) == 1
    with pytest.raises(networks_command.NetworkError, match="has this QoS policy"):
        qos_policies.delete(installation, "slow")
    for policy_id, limits in ((fast.id, 1), (None, 0)):
        system.api.put(f"/loadbalancers/{key}", {"loadbalancer": {"vip_qos_policy_id": policy_id}})
        system.api.wait_active(key)
        assert _limits(namespace) == limits
        assert fetch(vip, "/bytes/200000")[0] == 200
    # No reload: the same processes serve.
    assert faults.haproxies(namespace) == processes
    qos_policies.delete(installation, "slow")
    delete(system, load_balancer)
    ports.delete(installation, "mine")


def _limits(namespace: str) -> int:
    """How many addresses of an amphora are limited in what they send."""
    command = ["tc", "-n", namespace, "filter", "show", "dev", "eth0"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    return shown.stdout.count("flowid")
