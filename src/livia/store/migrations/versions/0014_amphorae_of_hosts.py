"""An index of the amphorae of each host that says all that counting them needs, for each placement counts them

It begins with what the one it replaces consists of.
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One index comes, and one goes."""
    op.create_index("ix_amphora_host", "amphora", ["compute_id", "status", "role"], unique=False)
    op.drop_index("ix_amphora_compute_id", "amphora")
