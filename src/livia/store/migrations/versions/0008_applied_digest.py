"""The digest that an agent confirmed: a heartbeat with another one shows drift"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One column; unknown for amphorae that were configured before."""
    op.add_column("amphora", sa.Column("applied_digest", sa.String(length=64), nullable=True))
