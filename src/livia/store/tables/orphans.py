"""What nobody owns, and since when that is known."""

from sqlalchemy import BigInteger, Column, Double, String, Table, Text, text

from livia.store.tables.registry import metadata

#: `kind`: port, amphora, remains or row; `place`: the host that has it, or nothing; moments in seconds of the
#: database's clock; `fence`: what the agent was last told, by which one removes that and nothing newer
orphan = Table(
    "orphan",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("place", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("load_balancer_id", String(36)),
    Column("fence", BigInteger, nullable=False, server_default=text("0")),
    Column("reason", Text, nullable=False),
    Column("first_seen", Double, nullable=False),
    Column("last_seen", Double, nullable=False),
)
