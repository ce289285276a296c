"""Every method of openstacksdk's `load_balancer` proxy, against a running system with amphorae."""

import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from livia.ops.demo.stage import BACKEND_PORT
from tests.clients.matrix import METHODS
from tests.system.conftest import System

pytestmark = pytest.mark.filterwarnings("ignore")


class Recorder:
    """The proxy, and which of its methods were called."""

    def __init__(self, proxy: Any) -> None:
        self._proxy = proxy
        self.called: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.called.add(name)
        return getattr(self._proxy, name)


@pytest.fixture(scope="module")
def sdk(system: System) -> Iterator[Recorder]:
    """`connection.load_balancer`, without authentication."""
    import openstack

    with warnings.catch_warnings():
        # The SDK and its libraries warn about one another.
        warnings.simplefilter("ignore")
        connection = openstack.connection.Connection(auth_type="none", auth={"endpoint": system.endpoint})
        yield Recorder(connection.load_balancer)
        connection.close()


@pytest.fixture(scope="module")
def balancer(system: System, sdk: Recorder) -> Any:
    created = sdk.create_load_balancer(name="sdk", vip_subnet_id=system.stage.subnet.id)
    return sdk.wait_for_load_balancer(created.id, interval=0.1, wait=120)


def rest(sdk: Recorder, balancer: Any) -> Any:
    return sdk.wait_for_load_balancer(balancer.id, interval=0.1, wait=120)


def names(found: Any) -> list[str]:
    return [each.name for each in found]


def test_load_balancer(sdk: Recorder, balancer: Any) -> None:
    assert sdk.get_load_balancer(balancer.id).vip_address == balancer.vip_address
    assert sdk.find_load_balancer("sdk").id == balancer.id
    assert names(sdk.load_balancers(name="sdk")) == ["sdk"]
    assert sdk.update_load_balancer(balancer.id, description="d").description == "d"
    sdk.wait_for_status(balancer, "ACTIVE", interval=0.1, wait=120, attribute="provisioning_status")
    assert sdk.get_load_balancer_statistics(balancer.id).total_connections == 0
    # The SDK reads an answer of this call that has none (202, no body): it must not fail on it.
    sdk.failover_load_balancer(balancer.id)
    rest(sdk, balancer)


def test_listener_pool_member_monitor(sdk: Recorder, balancer: Any, system: System) -> None:
    listener = sdk.create_listener(name="http", protocol="HTTP", protocol_port=80, load_balancer_id=balancer.id)
    assert sdk.get_listener(listener.id).protocol_port == 80
    assert sdk.find_listener("http").id == listener.id
    assert names(sdk.listeners(load_balancer_id=balancer.id)) == ["http"]
    assert sdk.update_listener(listener.id, connection_limit=7).connection_limit == 7
    assert sdk.get_listener_statistics(listener.id).bytes_in == 0

    pool = sdk.create_pool(name="blue", protocol="HTTP", lb_algorithm="ROUND_ROBIN", listener_id=listener.id)
    assert sdk.get_pool(pool.id).lb_algorithm == "ROUND_ROBIN"
    assert sdk.find_pool("blue").id == pool.id
    assert names(sdk.pools(loadbalancer_id=balancer.id)) == ["blue"]
    assert sdk.update_pool(pool.id, description="e").description == "e"

    address = system.stage.start_backend("web-1")
    member = sdk.create_member(pool, address=address, protocol_port=BACKEND_PORT, name="web-1")
    assert sdk.get_member(member.id, pool).address == address
    assert sdk.find_member("web-1", pool).id == member.id
    assert names(sdk.members(pool)) == ["web-1"]
    assert sdk.update_member(member.id, pool, weight=3).weight == 3

    monitor = sdk.create_health_monitor(pool_id=pool.id, type="HTTP", delay=1, timeout=1, max_retries=1, name="check")
    assert sdk.get_health_monitor(monitor.id).delay == 1
    assert sdk.find_health_monitor("check").id == monitor.id
    assert names(sdk.health_monitors(pool_id=pool.id)) == ["check"]
    assert sdk.update_health_monitor(monitor.id, delay=2).delay == 2

    _l7(sdk, listener)

    rest(sdk, balancer)
    sdk.delete_health_monitor(monitor.id)
    sdk.delete_member(member.id, pool)
    sdk.delete_pool(pool.id)
    sdk.delete_listener(listener.id)
    rest(sdk, balancer)
    assert (list(sdk.listeners()), list(sdk.pools()), list(sdk.health_monitors())) == ([], [], [])


def _l7(sdk: Recorder, listener: Any) -> None:
    policy = sdk.create_l7_policy(name="no", action="REJECT", listener_id=listener.id)
    assert sdk.get_l7_policy(policy.id).action == "REJECT"
    assert sdk.find_l7_policy("no").id == policy.id
    assert names(sdk.l7_policies(listener_id=listener.id)) == ["no"]
    assert sdk.update_l7_policy(policy.id, description="f").description == "f"
    rule = sdk.create_l7_rule(policy, type="PATH", compare_type="STARTS_WITH", value="/no")
    assert sdk.get_l7_rule(rule.id, policy).rule_value == "/no"
    assert sdk.find_l7_rule(rule.id, policy).id == rule.id
    assert [each.id for each in sdk.l7_rules(policy)] == [rule.id]
    assert sdk.update_l7_rule(rule.id, policy, rule_value="/never").rule_value == "/never"
    sdk.delete_l7_rule(rule.id, policy)
    sdk.delete_l7_policy(policy.id)


def test_amphorae(sdk: Recorder, balancer: Any) -> None:
    found = list(sdk.amphorae(loadbalancer_id=balancer.id))
    assert sorted(each.role for each in found) == ["BACKUP", "MASTER"]
    amphora = found[0].id
    assert sdk.get_amphora(amphora).status == "ALLOCATED"
    assert sdk.find_amphora(amphora).id == amphora
    sdk.configure_amphora(amphora)
    rest(sdk, balancer)
    sdk.failover_amphora(amphora)
    rest(sdk, balancer)
    assert amphora not in {each.id for each in sdk.amphorae(loadbalancer_id=balancer.id)}


def test_offers(sdk: Recorder) -> None:
    assert "amphora" in names(sdk.providers())
    assert "loadbalancer_topology" in names(sdk.provider_flavor_capabilities("amphora"))

    data = '{"loadbalancer_topology": "SINGLE"}'
    profile = sdk.create_flavor_profile(name="solo", provider_name="amphora", flavor_data=data)
    assert sdk.get_flavor_profile(profile.id).flavor_data == data
    assert sdk.find_flavor_profile("solo").id == profile.id
    assert names(sdk.flavor_profiles()) == ["solo"]
    assert sdk.update_flavor_profile(profile.id, name="single").name == "single"
    flavor = sdk.create_flavor(name="small", flavor_profile_id=profile.id)
    assert sdk.get_flavor(flavor.id).is_enabled
    assert sdk.find_flavor("small").id == flavor.id
    assert names(sdk.flavors()) == ["small"]
    assert sdk.update_flavor(flavor.id, description="g").description == "g"
    sdk.delete_flavor(flavor.id)
    sdk.delete_flavor_profile(profile.id)


def test_zones(sdk: Recorder) -> None:
    data = '{"compute_zone": "east"}'
    profile = sdk.create_availability_zone_profile(name="far", provider_name="amphora", availability_zone_data=data)
    assert sdk.get_availability_zone_profile(profile.id).availability_zone_data == data
    assert sdk.find_availability_zone_profile("far").id == profile.id
    assert names(sdk.availability_zone_profiles()) == ["far"]
    assert sdk.update_availability_zone_profile(profile.id, name="east").name == "east"
    zone = sdk.create_availability_zone(name="az", availability_zone_profile_id=profile.id)
    assert sdk.get_availability_zone(zone.name).is_enabled
    assert sdk.find_availability_zone("az").name == "az"
    assert names(sdk.availability_zones()) == ["az"]
    assert sdk.update_availability_zone(zone.name, description="h").description == "h"
    sdk.delete_availability_zone(zone.name)
    sdk.delete_availability_zone_profile(profile.id)


def test_quotas(sdk: Recorder) -> None:
    assert sdk.get_quota_default().load_balancers == -1
    assert sdk.update_quota("tenant", listeners=4).listeners == 4
    assert sdk.get_quota("tenant").listeners == 4
    assert 4 in [each.listeners for each in sdk.quotas()]
    sdk.delete_quota("tenant")
    assert sdk.get_quota("tenant").listeners == -1


def test_the_end(sdk: Recorder, balancer: Any) -> None:
    rest(sdk, balancer)
    sdk.delete_load_balancer(balancer.id, cascade=True)
    sdk.wait_for_delete(balancer, interval=0.1, wait=120)
    assert sdk.find_load_balancer("sdk") is None


def test_every_method_was_called(sdk: Recorder) -> None:
    assert set(METHODS) <= sdk.called, sorted(set(METHODS) - sdk.called)
