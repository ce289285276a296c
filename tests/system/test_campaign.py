"""Every change that the API offers, under traffic of four kinds that must not notice it (`make campaign`: often)."""

from collections.abc import Iterator

from livia.api.wire.attribute import Resource
from livia.api.wire.health_monitor import HEALTH_MONITOR
from livia.api.wire.l7policy import L7POLICY
from livia.api.wire.l7rule import L7RULE
from livia.api.wire.listener import LISTENER
from livia.api.wire.load_balancer import LOAD_BALANCER
from livia.api.wire.member import MEMBER
from livia.api.wire.pool import POOL
from tests.load.campaign import campaign
from tests.load.changes import changes
from tests.system.conftest import System

_RESOURCES = LOAD_BALANCER, LISTENER, POOL, MEMBER, HEALTH_MONITOR, L7POLICY, L7RULE


def _changeable(resource: Resource) -> Iterator[str]:
    return (f"{resource.item}.{attribute.name}" for attribute in resource.attributes if attribute.update)


def test_the_campaign_has_every_kind_of_change() -> None:
    """What the API defines is what the campaign changes: an attribute that nobody thought of is missing here."""
    wanted = {kind for resource in _RESOURCES for kind in _changeable(resource)}
    wanted |= {f"{resource.item} create, delete" for resource in _RESOURCES}
    made = {change.kind for change in changes()}
    assert wanted - made == set()
    assert made - wanted == {"member batch", "secret replace"}


def test_no_request_fails_and_no_connection_is_lost(system: System) -> None:
    result = campaign(system, "SINGLE", [1], lambda _text: None)
    print(result.text())
    assert result.disturbed == []
    assert all(count > 100 for count in result.requests.values())
    assert result.reloads > 0
