"""How many tries at a piece of work ended with their worker"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One column."""
    op.add_column("work", sa.Column("crashes", sa.Integer(), server_default=sa.text("0"), nullable=False))
