"""Tags of any object."""

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, delete, insert

from livia.store.tables import tags


def replace(connection: Connection, object_id: str, wanted: Iterable[str]) -> None:
    """Give an object exactly these tags."""
    remove(connection, (object_id,))
    add(connection, object_id, wanted)


def add(connection: Connection, object_id: str, wanted: Iterable[str]) -> None:
    """Give a new object its tags; repeated ones count once (contract 00, section 9)."""
    rows = [{"resource_id": object_id, "tag": tag} for tag in dict.fromkeys(wanted)]
    if rows:
        connection.execute(insert(tags), rows)


def remove(connection: Connection, object_ids: Collection[str]) -> None:
    """Forget the tags of objects."""
    for object_id in object_ids:
        connection.execute(delete(tags).where(tags.c.resource_id == object_id))
