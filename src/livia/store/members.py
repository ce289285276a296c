"""Members: the shown view and their rows."""

from collections.abc import Collection

from msgspec import Struct
from sqlalchemy import Connection, bindparam, delete, select

from livia.store import tables as t
from livia.store import tags
from livia.store.aggregates import packed
from livia.store.objects import DELETING
from livia.store.packing import reader
from livia.store.view import View, object_columns

_M = t.member

VIEW = View(
    _M,
    {
        **object_columns(_M),
        "address": _M.c.ip_address,
        "protocol_port": _M.c.protocol_port,
        "weight": _M.c.weight,
        "backup": _M.c.backup,
        "subnet_id": _M.c.subnet_id,
        "monitor_address": _M.c.monitor_address,
        "monitor_port": _M.c.monitor_port,
        "vnic_type": _M.c.vnic_type,
    },
    extra={"pool_id": _M.c.pool_id, "load_balancer_id": _M.c.load_balancer_id, "ip_address": _M.c.ip_address},
)


class Present(Struct, frozen=True):
    """A member of a pool by its unique key."""

    id: str
    address: str
    protocol_port: int
    provisioning_status: str

    @property
    def key(self) -> tuple[str, int]:
        return self.address, self.protocol_port


_PRESENT = (_M.c.id, _M.c.ip_address, _M.c.protocol_port, _M.c.provisioning_status)
_OF_POOL = select(packed(*_PRESENT)).where(_M.c.pool_id == bindparam("pool_id"))
_AT = _OF_POOL.where(_M.c.ip_address == bindparam("address"), _M.c.protocol_port == bindparam("port"))
_read = reader(_PRESENT)


def of_pool(connection: Connection, pool_id: str) -> list[Present]:
    """The members of a pool, those being deleted included."""
    return [Present(*_read(text)) for text in connection.execute(_OF_POOL, {"pool_id": pool_id}).scalars()]


def at(connection: Connection, pool_id: str, address: str, port: int) -> list[Present]:
    """The members of a pool with this key: one at most."""
    found = connection.execute(_AT, {"pool_id": pool_id, "address": address, "port": port}).scalars()
    return [Present(*_read(text)) for text in found]


def make_way(connection: Connection, member_ids: Collection[str]) -> None:
    """Remove the rows of members being deleted whose addresses and ports are wanted again."""
    tags.remove(connection, member_ids)
    connection.execute(delete(_M).where(_M.c.id.in_(member_ids), _M.c.provisioning_status == DELETING))


def in_pool(connection: Connection, member_id: str, pool_id: str) -> bool:
    """Whether the member belongs to the pool."""
    return connection.execute(select(_M.c.pool_id).where(_M.c.id == member_id)).scalar_one_or_none() == pool_id
