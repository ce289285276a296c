"""An index of the L7 rules of a project, which quotas count"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One index."""
    op.create_index("ix_l7rule_project", "l7rule", ["project_id"], unique=False)
