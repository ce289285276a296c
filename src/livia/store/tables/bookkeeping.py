"""Work to be done and the right to do it, what happened, and answers given: ours alone."""

from sqlalchemy import BigInteger, Column, Double, Index, Integer, String, Table, Text, text

from livia.store.columns import Bytes, Moment
from livia.store.tables.registry import metadata

#: one row per key with something to do; `due` in seconds of the database's clock
work = Table(
    "work",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("project_id", String(36)),
    Column("priority", Integer, nullable=False),
    Column("due", Double, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    # Raised by every request for work; a worker deletes the row only if it stayed the same.
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    Column("reason", String(1024)),
    # When the present change was asked for, in the database's clock: for people and metrics.
    Column("since", Double),
    # The request that asked for it, the newest of several.
    Column("request_id", String(64)),
    # Seconds that tries at the present change and the pauses between them took, by the clocks of those who tried:
    # the overall deadline counts these, as the database's clock may be set to another day meanwhile.
    Column("spent", Double, nullable=False, server_default=text("0")),
    # Tries in a row whose worker ended in their midst: any that comes to an end, good or bad, sets it to 0.
    Column("crashes", Integer, nullable=False, server_default=text("0")),
    Index("ix_work_due", "due"),
)

#: the right to act on one key; `expires` in seconds of the database's clock, `fence` only grows
lease = Table(
    "lease",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("owner", String(128)),
    Column("expires", Double, nullable=False),
    Column("fence", BigInteger, nullable=False),
)

event = Table(
    "event",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("load_balancer_id", String(36), nullable=False),
    Column("object_type", String(32), nullable=False),
    Column("object_id", String(36), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("code", String(64), nullable=False),
    Column("message", Text, nullable=False),
    Column("request_id", String(64)),
    Column("created_at", Moment, nullable=False),
    Index("ix_event_load_balancer", "load_balancer_id", "id"),
)

#: answers to requests that brought an Idempotency-Key; digests, because databases disagree on which texts are equal
idempotency = Table(
    "idempotency",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", Bytes, nullable=False),
    Column("created_at", Moment, nullable=False, index=True),
)
