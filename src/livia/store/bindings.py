"""Key material that a load balancer's listeners and pools name, kept sealed beside them."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    bindparam,
    delete,
    exists,
    insert,
    select,
    union_all,
    update,
)
from sqlalchemy.exc import IntegrityError

from livia.core.model.secret import Named, Use
from livia.core.model.status import Provisioning
from livia.core.rules.capabilities import BUILT_IN_PROVIDERS
from livia.store import tables as t
from livia.store.batch import Batch

_B = t.bound_material
_ID: BindParameter[str] = bindparam("load_balancer_id")
_OURS = _B.c.load_balancer_id == _ID
_SEALED = select(_B.c.purpose, _B.c.reference, _B.c.sealed).where(_OURS)
_PRESENT = select(_B.c.name).where(_OURS)

#: columns of listeners and pools that name material, and what for
_COLUMNS = (
    (Use.CERTIFICATE, t.listener.c.tls_certificate_id),
    (Use.AUTHORITY, t.listener.c.client_ca_tls_certificate_id),
    (Use.REVOCATION_LIST, t.listener.c.client_crl_container_id),
    (Use.CERTIFICATE, t.pool.c.tls_certificate_id),
    (Use.AUTHORITY, t.pool.c.ca_tls_certificate_id),
    (Use.REVOCATION_LIST, t.pool.c.crl_container_id),
)


def place(load_balancer_id: str, named: Named) -> str:
    """What material is sealed for: one reference of one load balancer, in one use."""
    return f"{load_balancer_id} {_name(named)}"


def _name(named: Named) -> str:
    return hashlib.sha256(f"{named.use.value} {named.reference}".encode()).hexdigest()


def every(connection: Connection, load_balancer_id: str) -> dict[Named, bytes]:
    """All that is bound to a load balancer, sealed."""
    rows = connection.execute(_SEALED, {"load_balancer_id": load_balancer_id})
    return {Named(Use(use), reference): sealed for use, reference, sealed in rows}


def put(connection: Connection, load_balancer_id: str, sealed: Mapping[Named, bytes], now: datetime) -> None:
    """Bind material, instead of what was bound to the same names. The load balancer's row must be locked."""
    names = sorted(map(_name, sealed))
    connection.execute(delete(_B).where(_B.c.load_balancer_id == load_balancer_id, _B.c.name.in_(names)))
    batch = Batch()
    for named, content in sealed.items():
        batch.add(_B, _row(load_balancer_id, named, content, now))
    batch.flush(connection)


def put_if_same(
    connection: Connection, load_balancer_id: str, named: Named, sealed: bytes, seen: bytes | None, now: datetime
) -> None:
    """Bind material unless somebody else did since `seen` was there (None: nothing)."""
    if seen is not None:
        connection.execute(
            update(_B)
            .where(_B.c.load_balancer_id == load_balancer_id, _B.c.name == _name(named), _B.c.sealed == seen)
            .values(sealed=sealed, bound_at=now)
        )
        return
    try:
        with connection.begin_nested():
            connection.execute(insert(_B).values(_row(load_balancer_id, named, sealed, now)))
    except IntegrityError:
        # Bound in between: that is at least as new.
        return


def _row(load_balancer_id: str, named: Named, sealed: bytes, now: datetime) -> dict[str, object]:
    return {
        "load_balancer_id": load_balancer_id,
        "name": _name(named),
        "purpose": named.use.value,
        "reference": named.reference,
        "sealed": sealed,
        "bound_at": now,
    }


def any_of(load_balancer_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether anything is bound to a load balancer."""
    return exists().where(_B.c.load_balancer_id == load_balancer_id)


def drop_unnamed(connection: Connection, load_balancer_id: str) -> None:
    """Forget what no listener and no pool of the load balancer names any more. Its row must be locked."""
    present = set(connection.execute(_PRESENT, {"load_balancer_id": load_balancer_id}).scalars())
    gone = present - _named(connection, load_balancer_id)
    if gone:
        connection.execute(delete(_B).where(_B.c.load_balancer_id == load_balancer_id, _B.c.name.in_(sorted(gone))))


def _named(connection: Connection, load_balancer_id: str) -> set[str]:
    listeners = select(t.listener.c.id).where(t.listener.c.load_balancer_id == load_balancer_id)
    columns = union_all(
        *(
            select(bindparam(None, use.value, unique=True).label("use"), column).where(
                column.table.c.load_balancer_id == load_balancer_id, column.is_not(None)
            )
            for use, column in _COLUMNS
        ),
        select(bindparam(None, Use.CERTIFICATE.value, unique=True), t.sni.c.tls_container_id).where(
            t.sni.c.listener_id.in_(listeners)
        ),
    )
    return {_name(Named(Use(use), reference)) for use, reference in connection.execute(columns)}


class Naming(Struct, frozen=True):
    """A listener or pool (`kind`) of a load balancer names a reference for these uses."""

    load_balancer_id: str
    kind: str
    object_id: str
    uses: frozenset[Use]


def naming(connection: Connection, reference: str) -> list[Naming]:
    """Who names a reference, in load balancers of the built-in provider that are there to stay; those of one load
    balancer follow each other."""
    columns = union_all(
        *(_objects_naming(column.table, use, column == reference) for use, column in _COLUMNS),
        _objects_naming(
            t.listener,
            Use.CERTIFICATE,
            t.listener.c.id.in_(select(t.sni.c.listener_id).where(t.sni.c.tls_container_id == reference)),
        ),
    )
    found: defaultdict[tuple[str, str, str], set[Use]] = defaultdict(set)
    for row in connection.execute(columns):
        load_balancer_id, kind, object_id, use = row
        found[load_balancer_id, kind, object_id].add(Use(use))
    return [Naming(*place, frozenset(uses)) for place, uses in sorted(found.items())]


def _objects_naming(table: FromClause, use: Use, where: ColumnElement[bool]) -> Select[Any]:
    lb = t.load_balancer
    return (
        select(
            table.c.load_balancer_id,
            bindparam(None, table.description, unique=True).label("kind"),
            table.c.id,
            bindparam(None, use.value, unique=True).label("use"),
        )
        .join_from(table, lb, lb.c.id == table.c.load_balancer_id)
        .where(
            where,
            table.c.provisioning_status != Provisioning.PENDING_DELETE,
            lb.c.provisioning_status.not_in((Provisioning.PENDING_DELETE, Provisioning.DELETED)),
            lb.c.provider.in_(BUILT_IN_PROVIDERS),
        )
    )


def forget(connection: Connection, load_balancer_id: str) -> None:
    """The load balancer is gone: so is what was bound to it."""
    connection.execute(delete(_B).where(_B.c.load_balancer_id == load_balancer_id))
