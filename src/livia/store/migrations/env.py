"""Alembic's entry: runs migrations on the connection that `livia.store.schema` passes in."""

from alembic import context

from livia.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite alters a table by copying it.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
