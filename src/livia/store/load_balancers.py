"""Load balancers: the shown view, the compare-and-swap that every change begins with, and their rows."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, and_, bindparam, case, delete, func, literal_column, or_, select, update

from livia.core.model.status import Operating, Provisioning
from livia.core.rules.capabilities import BUILT_IN_PROVIDERS, DEFAULT_PROVIDER
from livia.store import tables as t
from livia.store.aggregates import joined, packed
from livia.store.batch import Batch
from livia.store.literals import is_live, word, words
from livia.store.packing import reader
from livia.store.view import View, ids_of, object_columns

_LB = t.load_balancer

VIEW = View(
    _LB,
    {
        **object_columns(_LB),
        "provider": _LB.c.provider,
        "flavor_id": _LB.c.flavor_id,
        "availability_zone": _LB.c.availability_zone,
        "vip_address": t.vip.c.ip_address,
        "vip_port_id": t.vip.c.port_id,
        "vip_subnet_id": t.vip.c.subnet_id,
        "vip_network_id": t.vip.c.network_id,
        "vip_qos_policy_id": t.vip.c.qos_policy_id,
        "vip_vnic_type": t.vip.c.vnic_type,
        "vip_sg_ids": joined(
            select(t.vip_security_group.c.sg_id.label("value"))
            .where(t.vip_security_group.c.load_balancer_id == _LB.c.id)
            .order_by(t.vip_security_group.c.sg_id)
            .correlate(_LB)
        ),
        # subnet, address and port of each, parted by spaces: none of them contains one
        "additional_vips": joined(
            select(
                (
                    t.additional_vip.c.subnet_id
                    + " "
                    + t.additional_vip.c.ip_address
                    + " "
                    + t.additional_vip.c.port_id
                ).label("value")
            )
            .where(t.additional_vip.c.load_balancer_id == _LB.c.id)
            .order_by(t.additional_vip.c.subnet_id)
            .correlate(_LB)
        ),
        "listeners": ids_of(t.listener, t.listener.c.load_balancer_id == _LB.c.id, _LB),
        "pools": ids_of(t.pool, t.pool.c.load_balancer_id == _LB.c.id, _LB),
    },
    source=_LB.outerjoin(t.vip, t.vip.c.load_balancer_id == _LB.c.id),
)

_NEVER = (str(Provisioning.PENDING_DELETE), str(Provisioning.DELETED))
_EITHER = (False, True)
#: none is the built-in one: rows of long ago (contract 98, section 5)
_PROVIDER = func.coalesce(_LB.c.provider, word(DEFAULT_PROVIDER))
_BUILT_IN = _PROVIDER.in_(words(sorted(BUILT_IN_PROVIDERS)))
_BUSY = (*_NEVER, str(Provisioning.PENDING_CREATE), str(Provisioning.PENDING_UPDATE))

_STATE_COLUMNS = (
    _LB.c.id,
    _LB.c.project_id,
    _LB.c.provisioning_status,
    _LB.c.generation,
    _PROVIDER,
    _LB.c.flavor_id,
    _LB.c.enabled,
    t.quotas.c.project_id,
    *(t.quotas.c[kind] for kind in t.QUOTA_RESOURCES),
)
_STATE = (
    select(packed(*_STATE_COLUMNS))
    .select_from(_LB.outerjoin(t.quotas, t.quotas.c.project_id == _LB.c.project_id))
    .where(_LB.c.id == bindparam("id"), is_live(_LB))
)
_read_state = reader(_STATE_COLUMNS)
#: how many of them there are before the limits; the last one says whether there are limits
_OWN = 8


class State(Struct, frozen=True):
    """What a change must know of its load balancer. `limits`: of its project, as `quotas.limits` has them."""

    id: str
    project_id: str
    provisioning_status: str
    generation: int
    provider: str
    flavor_id: str | None
    enabled: bool
    limits: Mapping[str, int | None] | None


def new_state(load_balancer_id: str, columns: Mapping[str, Any], limits: Mapping[str, int | None] | None) -> State:
    """That of a load balancer that is about to be created with these columns."""
    return State(
        id=load_balancer_id,
        project_id=columns["project_id"],
        provisioning_status=str(Provisioning.PENDING_CREATE),
        generation=1,
        provider=columns["provider"],
        flavor_id=columns["flavor_id"],
        enabled=columns["enabled"],
        limits=limits,
    )


def state(connection: Connection, load_balancer_id: str) -> State | None:
    """The load balancer's state; None when it is unknown or DELETED."""
    text = connection.execute(_STATE, {"id": load_balancer_id}).scalar_one_or_none()
    if text is None:
        return None
    *own, counted = (values := _read_state(text))[:_OWN]
    limits = None if counted is None else dict(zip(t.QUOTA_RESOURCES, values[_OWN:], strict=True))
    return State(**dict(zip(State.__struct_fields__, [*own, limits], strict=True)))


def _advance(status: Any, strictly: Iterable[str], *, strict: bool) -> Any:
    """Raise the generation unless the status is one of `strictly`.

    Without `strict` that holds for providers whose drivers expect it; the built-in one takes changes while one is
    under way (design, section 5).
    """
    settled = _LB.c.provisioning_status.not_in(words(strictly))
    allowed = settled if strict else or_(settled, and_(_BUILT_IN, _LB.c.provisioning_status.not_in(words(_NEVER))))
    return (
        update(_LB)
        .where(_LB.c.id == bindparam("target"), allowed)
        .values(generation=_LB.c.generation + literal_column("1"), provisioning_status=status)
    )


_PENDING = case(
    # Never confirmed yet: it is still being created, with whatever is added meanwhile.
    (_LB.c.provisioning_status == word(Provisioning.PENDING_CREATE), word(Provisioning.PENDING_CREATE)),
    else_=word(Provisioning.PENDING_UPDATE),
)
#: by `strict`
_CHANGE_ACTIVE = {strict: _advance(_PENDING, (*_BUSY, str(Provisioning.ERROR)), strict=strict) for strict in _EITHER}
_CHANGE_SETTLED = {strict: _advance(_PENDING, _BUSY, strict=strict) for strict in _EITHER}
_DELETE = {strict: _advance(word(Provisioning.PENDING_DELETE), _BUSY, strict=strict) for strict in _EITHER}


def begin_change(connection: Connection, load_balancer_id: str, *, strict: bool, in_error: bool = False) -> bool:
    """Raise the generation and turn the status to pending, if the status allows a change.

    The first statement of every change: its row lock keeps all other changes of this load balancer out until
    the transaction ends. `strict`: also the built-in provider's only while ACTIVE, or with `in_error` also ERROR.
    """
    statement = (_CHANGE_SETTLED if in_error else _CHANGE_ACTIVE)[strict]
    return connection.execute(statement, {"target": load_balancer_id}).rowcount == 1


def begin_delete(connection: Connection, load_balancer_id: str, *, strict: bool) -> bool:
    """Turn the status to PENDING_DELETE. `strict`: also the built-in provider's only from ACTIVE or ERROR."""
    return connection.execute(_DELETE[strict], {"target": load_balancer_id}).rowcount == 1


class NewVip(Struct, frozen=True, kw_only=True):
    """The address of a load balancer that is being created. `owned`: its port is ours to delete."""

    address: str
    port_id: str
    subnet_id: str | None
    network_id: str
    qos_policy_id: str | None
    owned: bool
    #: (subnet id, address) of each additional VIP
    additional: tuple[tuple[str, str], ...] = ()
    security_groups: tuple[str, ...] = ()
    vnic_type: str = "normal"


def add(batch: Batch, state: State, values: Mapping[str, Any], vip: NewVip, now: datetime) -> None:
    """A new load balancer with its addresses. `values`: the columns that `state` was made of, and any others."""
    row = {
        "id": state.id,
        "provisioning_status": state.provisioning_status,
        "operating_status": str(Operating.OFFLINE),
        "generation": state.generation,
        "created_at": now,
    }
    batch.add(_LB, {**values, **row})
    batch.add(
        t.vip,
        {
            "load_balancer_id": state.id,
            "ip_address": vip.address,
            "port_id": vip.port_id,
            "subnet_id": vip.subnet_id,
            "network_id": vip.network_id,
            "qos_policy_id": vip.qos_policy_id,
            "octavia_owned": vip.owned,
            "vnic_type": vip.vnic_type,
        },
    )
    for subnet_id, address in vip.additional:
        additional = {"subnet_id": subnet_id, "ip_address": address, "port_id": vip.port_id}
        batch.add(t.additional_vip, {"load_balancer_id": state.id, "network_id": vip.network_id, **additional})
    _add_security_groups(batch, state.id, vip.security_groups)


def set_security_groups(connection: Connection, load_balancer_id: str, groups: Iterable[str]) -> None:
    """Replace the security groups of the VIP."""
    table = t.vip_security_group
    connection.execute(delete(table).where(table.c.load_balancer_id == load_balancer_id))
    batch = Batch()
    _add_security_groups(batch, load_balancer_id, groups)
    batch.flush(connection)


def _add_security_groups(batch: Batch, load_balancer_id: str, groups: Iterable[str]) -> None:
    for group in dict.fromkeys(groups):
        batch.add(t.vip_security_group, {"load_balancer_id": load_balancer_id, "sg_id": group})


def set_values(connection: Connection, load_balancer_id: str, values: Mapping[str, Any]) -> None:
    """Write columns of a load balancer."""
    connection.execute(update(_LB).where(_LB.c.id == load_balancer_id).values(**values))


def set_qos_policy(connection: Connection, load_balancer_id: str, policy_id: str | None) -> None:
    """Write, or with None remove, the QoS policy of the VIP."""
    connection.execute(
        update(t.vip).where(t.vip.c.load_balancer_id == load_balancer_id).values(qos_policy_id=policy_id)
    )


def qos_policy(connection: Connection, load_balancer_id: str) -> str | None:
    """The QoS policy of the VIP."""
    policy: str | None = connection.execute(
        select(t.vip.c.qos_policy_id).where(t.vip.c.load_balancer_id == load_balancer_id)
    ).scalar_one_or_none()
    return policy


def vnic_type(connection: Connection, load_balancer_id: str) -> str:
    """What the VIP's port is on."""
    query = select(t.vip.c.vnic_type).where(t.vip.c.load_balancer_id == load_balancer_id)
    return connection.execute(query).scalar_one_or_none() or "normal"


def addresses(connection: Connection, load_balancer_id: str) -> tuple[str, ...]:
    """Every virtual address, the primary one first."""
    primary = connection.execute(select(t.vip.c.ip_address).where(t.vip.c.load_balancer_id == load_balancer_id))
    additional = connection.execute(
        select(t.additional_vip.c.ip_address)
        .where(t.additional_vip.c.load_balancer_id == load_balancer_id)
        .order_by(t.additional_vip.c.subnet_id)
    )
    return (*primary.scalars(), *additional.scalars())


def has_security_groups(connection: Connection, load_balancer_id: str) -> bool:
    """Whether the VIP has security groups of the user."""
    table = t.vip_security_group
    found = connection.execute(select(table.c.sg_id).where(table.c.load_balancer_id == load_balancer_id).limit(1))
    return found.first() is not None


def has_children(connection: Connection, load_balancer_id: str) -> bool:
    """Whether a listener or pool is there that is not being deleted."""
    for table in (t.listener, t.pool):
        live = table.c.provisioning_status.not_in(_NEVER)
        if connection.execute(
            select(table.c.id).where(table.c.load_balancer_id == load_balancer_id, live).limit(1)
        ).first():
            return True
    return False
