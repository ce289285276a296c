"""The first tables of work to be done and of what happened."""

import sqlalchemy as sa
from alembic import op

from livia.store.migrations.first_tables.columns import MOMENT


def create() -> None:
    """Make them; what they refer to is there."""
    _event()
    _lease()
    _work()


def _event() -> None:
    op.create_table(
        "event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("load_balancer_id", sa.String(length=36), nullable=False),
        sa.Column("object_type", sa.String(length=32), nullable=False),
        sa.Column("object_id", sa.String(length=36), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    op.create_index("ix_event_load_balancer", "event", ["load_balancer_id", "id"], unique=False)


def _lease() -> None:
    op.create_table(
        "lease",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=128), nullable=True),
        sa.Column("expires", sa.Double(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_lease")),
    )


def _work() -> None:
    op.create_table(
        "work",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("due", sa.Double(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("reason", sa.String(length=1024), nullable=True),
        sa.Column("since", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_work")),
    )
    op.create_index("ix_work_due", "work", ["due"], unique=False)
