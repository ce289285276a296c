"""A count of placements on each amphora host, by which two workers do not take the same place"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One column."""
    op.add_column("amphora_host", sa.Column("placements", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
