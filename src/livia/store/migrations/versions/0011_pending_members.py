"""An index of what is pending among the members of a load balancer, which each confirmation asks for

It begins with what the one it replaces consists of.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One index comes, and then one goes: at no time is the foreign key without one."""
    op.create_index("ix_member_pending", "member", ["load_balancer_id", "provisioning_status"], unique=False)
    op.drop_index("ix_member_load_balancer_id", "member")
