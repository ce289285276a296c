"""Amphora hosts as places: which zone a load balancer's amphorae go to."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import insert

from livia.core.drivers import NoCapacity
from livia.core.report import HostFacts
from livia.drivers.compute.host import Hosts
from livia.store import hosts, trees
from livia.store import tables as t
from tests import database as rows


@pytest.mark.parametrize(
    ("zone", "host"), [("far", "host-east"), ("west", "host-west"), (None, "host-east"), ("nowhere", None)]
)
def test_hosts_are_in_the_compute_zone_of_the_zone(tmp_path: Path, zone: str | None, host: str | None) -> None:
    database = rows.fresh(tmp_path)
    key = rows.put_load_balancer(database, topology="SINGLE")
    with database.write() as connection:
        for name in ("east", "west"):
            facts = HostFacts(address="127.0.0.1", agent_port=1, capacity=1, amphorae=0, availability_zone=name)
            hosts.seen(connection, f"host-{name}", facts)
        for name, data in (("far", '{"compute_zone": "east"}'), ("west", "{}")):
            profile = {"id": name, "name": name, "provider_name": "amphora", "availability_zone_data": data}
            connection.execute(insert(t.availability_zone_profile).values(**profile))
            offered = {"name": name, "enabled": True, "availability_zone_profile_id": name}
            connection.execute(insert(t.availability_zone).values(**offered))
        connection.execute(insert(t.amphora).values(id="a", status="BOOTING", role="STANDALONE", load_balancer_id=key))
        tree = trees.load(connection, key)
    assert tree is not None
    load_balancer = replace(tree.load_balancer, availability_zone=zone)
    driver = Hosts(database, silence=60.0)
    (amphora,) = tree.amphorae
    if host is None:
        with pytest.raises(NoCapacity, match="availability zone nowhere"):
            driver.place(load_balancer, amphora, frozenset())
    else:
        assert driver.place(load_balancer, amphora, frozenset()).compute_id == host
    database.close()
