"""Networks that Livia owns: their subnets, and what ports on them get."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from livia.core.clock import SystemClock
from livia.core.drivers import DriverError
from livia.core.spec import BandwidthLimit, Direction, Route
from livia.drivers.network.local import LocalNetworks, NetworkExistsError
from livia.drivers.network.qos import QosPolicyExistsError
from tests import database as rows


@pytest.fixture
def networks(tmp_path: Path) -> LocalNetworks:
    return LocalNetworks(rows.fresh(tmp_path), SystemClock())


def test_a_network_of_both_ip_versions(networks: LocalNetworks) -> None:
    network = networks.create("web", "10.80.0.0/24", "fd00:80::/64", gateways=["fd00:80::ff"], mtu=9000)
    subnets = networks.subnets()
    assert tuple(subnet.id for subnet in subnets) == network.subnet_ids
    assert [(subnet.name, subnet.cidr, subnet.gateway) for subnet in subnets] == [
        ("web", "10.80.0.0/24", "10.80.0.1"),
        ("web-2", "fd00:80::/64", "fd00:80::ff"),
    ]
    four, six = network.subnet_ids
    port = networks.create_vip_port("x", "project", network.id, ((six, None), (four, None)))
    assert {fixed.ip_address for fixed in port.fixed_ips} == {"10.80.0.2", "fd00:80::1"}
    plug = networks.plug(port)
    assert plug.mtu == 9000
    gateways = {plug.gateway, *(route.nexthop for route in plug.routes)}
    assert gateways == {"10.80.0.1", "fd00:80::ff"}
    assert plug.routes[0] in (
        Route(destination="::/0", nexthop="fd00:80::ff"),
        Route(destination="0.0.0.0/0", nexthop="10.80.0.1"),
    )


@pytest.mark.parametrize(
    ("cidrs", "gateways", "sentence"),
    [
        ((), (), "at least one subnet"),
        (("10.0.0.0/30",), (), "too small"),
        (("fe80::/64",), (), "link-local"),
        (("10.0.0.0/24", "10.0.0.128/25"), (), "overlaps"),
        (("10.0.0.0/24",), ("10.0.1.1",), "not inside"),
        (("10.0.0.0/24",), ("10.0.0.255",), "broadcast"),
        (("10.0.0.0/24",), ("10.0.0.1", "10.0.0.2"), "two gateways"),
        (("10.0.0.1/24",), (), "host bits"),
    ],
)
def test_networks_that_cannot_be(
    networks: LocalNetworks, cidrs: tuple[str, ...], gateways: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        networks.create("web", *cidrs, gateways=gateways)
    assert networks.networks() == ()


def test_names_are_taken_once(networks: LocalNetworks) -> None:
    networks.create("web", "10.80.0.0/24")
    with pytest.raises(NetworkExistsError):
        networks.create("web", "10.81.0.0/24")
    networks.qos.create("gold", max_kbps=1)
    with pytest.raises(QosPolicyExistsError):
        networks.qos.create("gold", max_kbps=2)
    networks.create_port("mine", networks.networks()[0])
    with pytest.raises(DriverError, match="exists already"):
        networks.create_port("mine", networks.networks()[0])


def test_qos_policies(networks: LocalNetworks) -> None:
    gold = networks.qos.create("gold", max_kbps=5000, burst_kb=100)
    both = networks.qos.create("both", max_kbps=1, direction="both")
    assert gold.limits == (BandwidthLimit(direction=Direction.EGRESS, kbps=5000, burst_kb=100),)
    assert [limit.direction for limit in both.limits] == list(Direction)
    assert networks.qos_policies() == (gold, both)
    assert networks.qos_policy(both.id) == both
    networks.qos.delete(gold.id)
    assert networks.qos_policy(gold.id) is None
    for rate, burst in ((0, 0), (2**31, 0), (1, -1)):
        with pytest.raises(ValueError, match="kilobits"):
            networks.qos.create("wrong", max_kbps=rate, burst_kb=burst)
    with pytest.raises(ValueError, match="direction"):
        networks.qos.create("wrong", max_kbps=1, direction="up")


def test_one_of_many_gets_a_port(networks: LocalNetworks) -> None:
    port = networks.create_port("mine", networks.create("web", "10.80.0.0/24"))

    def claim(number: int) -> int:
        """The HTTP status that a caller would see."""
        try:
            networks.claim_vip_port(port.id, f"balancer-{number}")
        except DriverError as error:
            return error.status
        return 201

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(claim, range(16))) == [201] + [409] * 15
    taken = networks.port(port.id)
    assert taken is not None
    holder = taken.device_id.removeprefix("lb-")
    networks.claim_vip_port(port.id, holder)
    networks.release_vip_port(port.id, holder)
    networks.delete_idle_port(port.id)
    with pytest.raises(DriverError, match="not found"):
        networks.claim_vip_port(port.id, holder)


def test_addresses_asked_for(networks: LocalNetworks) -> None:
    network = networks.create("web", "10.80.0.0/24", "fd00:80::/64")
    port = networks.create_port("mine", network, ["fd00:80:0::5", "10.80.0.5"])
    assert {fixed.ip_address for fixed in port.fixed_ips} == {"fd00:80::5", "10.80.0.5"}
    for address, sentence in (("10.81.0.1", "not an address of network web"), ("fd00:80::1", "gateway")):
        with pytest.raises(DriverError, match=sentence):
            networks.create_port("other", network, [address])
