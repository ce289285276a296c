"""Which request asked for a piece of work"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One column."""
    op.add_column("work", sa.Column("request_id", sa.String(length=64), nullable=True))
