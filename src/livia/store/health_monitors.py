"""Health monitors: the shown view and their rows."""

from sqlalchemy import Connection, Float, Numeric, bindparam, cast, delete, select, type_coerce

from livia.store import tables as t
from livia.store import tags
from livia.store.objects import DELETING
from livia.store.view import View, object_columns

_HM = t.health_monitor
#: 1.1 as it is written: MySQL's float of it equals no other 1.1 (contract 98, section 5)
_HTTP_VERSION = type_coerce(cast(_HM.c.http_version, Numeric(2, 1)), Float)

VIEW = View(
    _HM,
    {
        **object_columns(_HM),
        "type": _HM.c.type,
        "delay": _HM.c.delay,
        "timeout": _HM.c.timeout,
        "max_retries": _HM.c.rise_threshold,
        "max_retries_down": _HM.c.fall_threshold,
        "http_method": _HM.c.http_method,
        "url_path": _HM.c.url_path,
        "expected_codes": _HM.c.expected_codes,
        "http_version": _HM.c.http_version,
        "domain_name": _HM.c.domain_name,
        "pools": _HM.c.pool_id,
    },
    extra={
        "pool_id": _HM.c.pool_id,
        "load_balancer_id": _HM.c.load_balancer_id,
        "http_version": _HTTP_VERSION,
    },
)


_OF_POOL = select(_HM.c.id, _HM.c.provisioning_status).where(_HM.c.pool_id == bindparam("pool_id"))


def of_pool(connection: Connection, pool_id: str) -> tuple[str, str] | None:
    """(id, provisioning status) of a pool's monitor."""
    row = connection.execute(_OF_POOL, {"pool_id": pool_id}).one_or_none()
    return None if row is None else (row[0], row[1])


def make_way(connection: Connection, monitor_id: str) -> None:
    """Remove the row of a monitor being deleted whose pool is to get another one."""
    tags.remove(connection, (monitor_id,))
    connection.execute(delete(_HM).where(_HM.c.id == monitor_id, _HM.c.provisioning_status == DELETING))
