"""QoS policies of local networks. The agent enforces them (`livia.agent.plumbing.bandwidth`)."""

from uuid import uuid4

from sqlalchemy import RowMapping
from sqlalchemy.exc import IntegrityError

from livia.core.clock import Clock
from livia.core.drivers import DriverError, QosPolicy
from livia.core.spec import BandwidthLimit, Direction
from livia.store import qos_policies as store
from livia.store.engine import Database

#: what a policy of both directions is stored as
BOTH = "both"
DIRECTIONS = (*(str(each) for each in Direction), BOTH)
#: kilobits; the column holds no more
_MOST = 2**31 - 1


class QosPolicyExistsError(Exception):
    """A policy with this name is there already."""


class QosPolicies:
    """What the command line manages, and the local network driver answers with."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(self, name: str, *, max_kbps: int, burst_kb: int = 0, direction: str = Direction.EGRESS) -> QosPolicy:
        """A policy. `direction`: one of DIRECTIONS; units as in `BandwidthLimit`.

        Raises ValueError for values that cannot be, QosPolicyExistsError when the name is taken.
        """
        if not 1 <= max_kbps <= _MOST or not 0 <= burst_kb <= _MOST:
            raise ValueError(f"A rate is 1 to {_MOST} kilobits per second, a burst 0 to {_MOST} kilobits.")
        if direction not in DIRECTIONS:
            raise ValueError(f"A direction is one of {', '.join(DIRECTIONS)}, not {direction}.")
        policy_id = str(uuid4())
        try:
            self._database.transaction(
                lambda connection: store.add(
                    connection,
                    policy_id=policy_id,
                    name=name,
                    direction=str(direction),
                    max_kbps=max_kbps,
                    burst_kb=burst_kb,
                    now=self._clock.now(),
                )
            )
        except IntegrityError as error:
            raise QosPolicyExistsError(f"A QoS policy named {name} exists already.") from error
        created = self.find(policy_id)
        assert created is not None  # noqa: S101 - just committed
        return created

    def delete(self, policy_id: str) -> None:
        """Remove a policy. Raises DriverError (409) while a VIP has it."""
        if not self._database.transaction(lambda connection: store.delete_unused(connection, policy_id)):
            raise DriverError("A load balancer's VIP has this QoS policy.", code="in_use", status=409)

    def every(self) -> tuple[QosPolicy, ...]:
        """All policies, oldest first."""
        with self._database.read() as connection:
            return tuple(map(_policy, store.every(connection)))

    def find(self, policy_id: str) -> QosPolicy | None:
        """One policy."""
        with self._database.read() as connection:
            row = store.one(connection, policy_id)
        return None if row is None else _policy(row)


def _policy(row: RowMapping) -> QosPolicy:
    directions = tuple(Direction) if row["direction"] == BOTH else (Direction(row["direction"]),)
    return QosPolicy(
        id=row["id"],
        name=row["name"],
        limits=tuple(
            BandwidthLimit(direction=each, kbps=row["max_kbps"], burst_kb=row["burst_kb"]) for each in directions
        ),
    )
