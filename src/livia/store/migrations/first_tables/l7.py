"""The first tables of layer 7 policies and their rules."""

import sqlalchemy as sa
from alembic import op

from livia.store.migrations.first_tables.columns import object_columns


def create() -> None:
    """Make them; what they refer to is there."""
    _l7policy()
    _l7rule()


def _l7policy() -> None:
    op.create_table(
        "l7policy",
        *object_columns(),
        sa.Column("description", sa.String(length=255), nullable=True),
        sa.Column("load_balancer_id", sa.String(length=36), nullable=False),
        sa.Column("listener_id", sa.String(length=36), nullable=False),
        sa.Column("action", sa.String(length=36), nullable=False),
        sa.Column("redirect_pool_id", sa.String(length=36), nullable=True),
        sa.Column("redirect_url", sa.String(length=255), nullable=True),
        sa.Column("redirect_prefix", sa.String(length=255), nullable=True),
        sa.Column("redirect_http_code", sa.Integer(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["listener_id"], ["listener.id"], name=op.f("fk_l7policy_listener_id")),
        sa.ForeignKeyConstraint(["load_balancer_id"], ["load_balancer.id"], name=op.f("fk_l7policy_load_balancer_id")),
        sa.ForeignKeyConstraint(["redirect_pool_id"], ["pool.id"], name=op.f("fk_l7policy_redirect_pool_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_l7policy")),
    )
    op.create_index("ix_l7policy_listener_id", "l7policy", ["listener_id"], unique=False)
    op.create_index("ix_l7policy_load_balancer_id", "l7policy", ["load_balancer_id"], unique=False)
    op.create_index("ix_l7policy_project", "l7policy", ["project_id", "created_at", "id"], unique=False)
    op.create_index("ix_l7policy_redirect_pool_id", "l7policy", ["redirect_pool_id"], unique=False)


def _l7rule() -> None:
    op.create_table(
        "l7rule",
        *object_columns(named=False),
        sa.Column("load_balancer_id", sa.String(length=36), nullable=False),
        sa.Column("l7policy_id", sa.String(length=36), nullable=False),
        sa.Column("type", sa.String(length=36), nullable=False),
        sa.Column("compare_type", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=True),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.Column("invert", sa.Boolean(), nullable=False),
        sa.Column("ordinal", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["l7policy_id"], ["l7policy.id"], name=op.f("fk_l7rule_l7policy_id")),
        sa.ForeignKeyConstraint(["load_balancer_id"], ["load_balancer.id"], name=op.f("fk_l7rule_load_balancer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_l7rule")),
    )
    op.create_index("ix_l7rule_l7policy_id", "l7rule", ["l7policy_id"], unique=False)
    op.create_index("ix_l7rule_load_balancer_id", "l7rule", ["load_balancer_id"], unique=False)
