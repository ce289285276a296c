"""How long tries at a piece of work have taken"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One column. What is under way has its whole deadline again."""
    op.add_column("work", sa.Column("spent", sa.Double(), server_default=sa.text("0"), nullable=False))
