"""Alembic's entry: runs migrations on the connection that `livia.store.schema` passes in, or prints their SQL."""

from typing import Any

from alembic import context

from livia.store.tables import metadata

# SQLite alters a table by copying it.
options: dict[str, Any] = {"target_metadata": metadata, "render_as_batch": True}
passed = context.config.attributes
if context.is_offline_mode():
    context.configure(dialect_name=passed["dialect"], literal_binds=True, **options)
else:
    context.configure(connection=passed["connection"], **options)
with context.begin_transaction():
    context.run_migrations()
