"""Load balancers without any service: traffic of every kind goes on, and amphorae come back by themselves."""

from tests.load.alone import alone
from tests.system.conftest import System


def test_nobody_is_needed_for_traffic(system: System) -> None:
    result = alone(system, 12.0, print)
    print(result.text())
    assert result.unexplained() == []
    assert not result.replaced
    assert len(result.deaths) == 2
    assert all(count > 50 for count in result.requests.values())
