"""Failover of a load balancer: every amphora is replaced (contract 10, section 9)."""

from sqlalchemy import Connection

from livia.services.change import Change, own_objection, perform
from livia.services.context import Context, Deps
from livia.store import amphorae, load_balancers, work


def request(deps: Deps, context: Context, load_balancer_id: str) -> None:
    """Ask the worker to replace the amphorae. Raises `Refused`."""

    def begin(connection: Connection, key: str) -> bool:
        strict = deps.settings.immutable_while_pending
        return load_balancers.begin_change(connection, key, strict=strict, in_error=True)

    def act(change: Change) -> None:
        change.require_mutable()
        amphorae.request_failover(change.connection, load_balancer_id, change.now)
        change.tell("load_balancer.failover", "load_balancer", load_balancer_id, "A failover was asked for.")

    perform(
        deps,
        context,
        load_balancer_id,
        act,
        begin=begin,
        objection=own_objection,
        priority=work.Priority.FAILOVER,
    )
