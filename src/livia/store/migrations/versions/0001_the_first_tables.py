"""The first tables"""

from livia.store.migrations.first_tables import (
    amphorae,
    bookkeeping,
    l7,
    listeners,
    load_balancers,
    local_networks,
    offers,
    pools,
)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The first tables, each after those that it refers to."""
    bookkeeping.create()
    offers.create()
    local_networks.create()
    load_balancers.create()
    amphorae.create()
    pools.create()
    listeners.create()
    l7.create()
