"""Tags of any object."""

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, delete

from livia.store.batch import Batch
from livia.store.tables import tags


def replace(connection: Connection, object_id: str, wanted: Iterable[str]) -> None:
    """Give an object exactly these tags."""
    remove(connection, (object_id,))
    batch = Batch()
    add(batch, object_id, wanted)
    batch.flush(connection)


def add(batch: Batch, object_id: str, wanted: Iterable[str]) -> None:
    """Give a new object its tags; repeated ones count once (contract 00, section 9)."""
    for tag in dict.fromkeys(wanted):
        batch.add(tags, {"resource_id": object_id, "tag": tag})


def remove(connection: Connection, object_ids: Collection[str]) -> None:
    """Forget the tags of objects."""
    connection.execute(delete(tags).where(tags.c.resource_id.in_(object_ids)))
