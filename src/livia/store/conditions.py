"""Conditions on a load balancer, for statements that change something of it only while they hold."""

from sqlalchemy import ColumnElement, and_, exists

from livia.core.model.status import Provisioning
from livia.store.tables import load_balancer, work


def is_active(load_balancer_id: str | ColumnElement[str]) -> ColumnElement[bool]:
    """The load balancer is ACTIVE: nobody changes it."""
    table = load_balancer.c
    return exists().where(table.id == load_balancer_id, table.provisioning_status == Provisioning.ACTIVE)


def has_work(key: str | ColumnElement[str]) -> ColumnElement[bool]:
    """Something waits to be done under this key, or is being done."""
    return exists().where(work.c.key == key)


def at_rest(load_balancer_id: str | ColumnElement[str]) -> ColumnElement[bool]:
    """The load balancer is ACTIVE and nothing waits for it."""
    return and_(is_active(load_balancer_id), ~has_work(load_balancer_id))
