"""openstacksdk's `load_balancer` proxy, unmodified, with traffic flowing."""

import urllib.request
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from livia.ops.demo.stage import BACKEND_PORT
from tests.system.conftest import System


@pytest.fixture(scope="module")
def sdk(system: System) -> Iterator[Any]:
    """`connection.load_balancer`, without authentication."""
    import openstack

    with warnings.catch_warnings():
        # The SDK and its libraries warn about one another.
        warnings.simplefilter("ignore")
        connection = openstack.connection.Connection(
            auth_type="none",
            auth={"endpoint": system.endpoint},
        )
        yield connection.load_balancer
        connection.close()


@pytest.mark.filterwarnings("ignore")
def test_a_load_balancer_through_the_sdk(sdk: Any, system: System) -> None:
    address = system.stage.start_backend("web-1")
    created = sdk.create_load_balancer(name="sdk", vip_subnet_id=system.stage.subnet.id)
    balancer = sdk.wait_for_load_balancer(created.id, interval=0.1, wait=120)
    assert balancer.provisioning_status == "ACTIVE"
    listener = sdk.create_listener(name="http", protocol="HTTP", protocol_port=80, load_balancer_id=balancer.id)
    pool = sdk.create_pool(name="p", protocol="HTTP", lb_algorithm="ROUND_ROBIN", listener_id=listener.id)
    member = sdk.create_member(pool, address=address, protocol_port=BACKEND_PORT, name="web-1")
    monitor = sdk.create_health_monitor(pool_id=pool.id, type="HTTP", delay=1, timeout=1, max_retries=1)
    sdk.wait_for_load_balancer(balancer.id, interval=0.1, wait=120)
    with urllib.request.urlopen(f"http://{balancer.vip_address}/", timeout=30) as answer:
        assert answer.read() == b"web-1\n"

    assert sdk.find_load_balancer("sdk").id == balancer.id
    assert [each.id for each in sdk.load_balancers(name="sdk")] == [balancer.id]
    assert [each.id for each in sdk.listeners(load_balancer_id=balancer.id)] == [listener.id]
    assert [each.id for each in sdk.pools()] == [pool.id]
    assert [each.id for each in sdk.members(pool)] == [member.id]
    assert [each.id for each in sdk.health_monitors(pool_id=pool.id)] == [monitor.id]
    assert sdk.update_load_balancer(balancer.id, description="d").description == "d"
    assert sdk.update_listener(listener.id, connection_limit=7).connection_limit == 7
    assert sdk.update_pool(pool.id, name="q").name == "q"
    assert sdk.update_member(member.id, pool, weight=3).weight == 3
    assert sdk.update_health_monitor(monitor.id, delay=2).delay == 2
    assert sdk.get_load_balancer_statistics(balancer.id).total_connections >= 0
    assert sdk.get_listener_statistics(listener.id).bytes_in >= 0
    sdk.wait_for_load_balancer(balancer.id, interval=0.1, wait=120)
    sdk.delete_health_monitor(monitor.id)
    sdk.delete_member(member.id, pool)
    sdk.delete_load_balancer(balancer.id, cascade=True)
    sdk.wait_for_delete(balancer, interval=0.1, wait=120)
    assert sdk.find_load_balancer("sdk") is None
