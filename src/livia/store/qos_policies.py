"""QoS policies of local networks: the rate that a VIP's traffic is held to."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, delete, insert, select

from livia.store.tables import local_qos_policy, vip


def add(
    connection: Connection, *, policy_id: str, name: str, direction: str, max_kbps: int, burst_kb: int, now: datetime
) -> None:
    """Insert a policy. Raises IntegrityError when the name is taken."""
    connection.execute(
        insert(local_qos_policy).values(
            id=policy_id, name=name, direction=direction, max_kbps=max_kbps, burst_kb=burst_kb, created_at=now
        )
    )


def every(connection: Connection) -> Sequence[RowMapping]:
    """All policies, oldest first."""
    table = local_qos_policy
    return connection.execute(select(table).order_by(table.c.created_at, table.c.id)).mappings().all()


def one(connection: Connection, policy_id: str) -> RowMapping | None:
    """One policy."""
    table = local_qos_policy
    return connection.execute(select(table).where(table.c.id == policy_id)).mappings().one_or_none()


def delete_unused(connection: Connection, policy_id: str) -> bool:
    """Remove a policy that no VIP has; False when one has it."""
    table = local_qos_policy
    used = select(vip.c.load_balancer_id).where(vip.c.qos_policy_id == policy_id).exists()
    return connection.execute(delete(table).where(table.c.id == policy_id, ~used)).rowcount == 1
