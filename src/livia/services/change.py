"""One accepted change of one load balancer: the transaction around every write (design, section 5).

The first statement raises the load balancer's generation if its status allows that; the row lock it takes makes
everything that follows safe from other changes of the same load balancer, on every database. The change ends
with the work row, in the same transaction, and a wake-up hint after the commit.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Connection

from livia.core.model.event import Event, Severity
from livia.core.model.secret import Named
from livia.core.model.status import Operating, Provisioning
from livia.core.rules import state as rules
from livia.core.rules.capabilities import BUILT_IN_PROVIDERS, Limit, supported, unavailable
from livia.core.rules.verdict import Refuse, Verdict
from livia.services.context import Context, Deps, refuse
from livia.store import bindings, events, listeners, load_balancers, objects, tags, work
from livia.store.batch import Batch

_T = TypeVar("_T")

#: what to say when the load balancer's state does not allow a change
Objection: TypeAlias = Callable[[load_balancers.State], Refuse]


def child_objection(state: load_balancers.State) -> Refuse:
    """For changes of what belongs to a load balancer."""
    return rules.immutable("load_balancer", state.id)


def own_objection(state: load_balancers.State) -> Refuse:
    """For changes of the load balancer itself."""
    return rules.invalid_state(state.id, state.provisioning_status)


class Change:
    """What a use case does to one load balancer, inside its transaction.

    `accepted` is False when the load balancer's state forbids the change; the contract wants other refusals
    first, so the use case goes on and says with `require_mutable` where this one comes.

    `new` holds rows to insert: they are in the database when `connection` is asked for, or at the end.
    """

    def __init__(
        self,
        deps: Deps,
        context: Context,
        connection: Connection,
        state: load_balancers.State,
        *,
        accepted: bool = True,
        objection: Objection = child_objection,
    ) -> None:
        self.deps = deps
        self.context = context
        self.state = state
        self.now: datetime = deps.clock.now()
        self._connection = connection
        self.new = Batch()
        self._accepted = accepted
        self._objection = objection
        self._unsupported: Refuse | None = None
        self._bound: dict[Named, str] = {}

    @property
    def connection(self) -> Connection:
        """The transaction's, in which everything is that was added."""
        self.new.flush(self._connection)
        return self._connection

    def require_mutable(self) -> None:
        """Raise the 409 of a load balancer that cannot be changed now."""
        if not self._accepted:
            raise refuse(self._objection(self.state))

    def require_supported(self, kind: str, values: Mapping[str, Any]) -> None:
        """Note what the data plane cannot do. It is raised last: every other refusal comes first."""
        self._note(supported(self.deps.limits, self.state.provider, kind, values))

    def note_unsupported(self, reason: str | None, limit: Limit | None = None) -> None:
        """The same, where a rule that looked at several objects says why; None: they fit. `limit`: what the rule
        stands for, where a data plane without that limit does it."""
        if reason is not None and (limit is None or limit in self.deps.limits):
            self._note(unavailable(self.state.provider, reason))

    def _note(self, verdict: Verdict) -> None:
        if isinstance(verdict, Refuse):
            self._unsupported = self._unsupported or verdict

    def finish(self) -> None:
        """Raise what was left for last, and insert what is not yet."""
        self.require_mutable()
        if self._unsupported is not None:
            raise refuse(self._unsupported)
        self.new.flush(self._connection)
        if self._bound:
            seal, key = self.deps.seal, self.state.id
            sealed = {each: seal.seal(pem.encode(), bindings.place(key, each)) for each, pem in self._bound.items()}
            bindings.put(self._connection, key, sealed, self.now)

    def bind(self, named: Named, pem: str) -> None:
        """Keep material with the load balancer, where it is the worker's to use it (design, section 8)."""
        if self.state.provider in BUILT_IN_PROVIDERS:
            self._bound[named] = pem

    def add(self, kind: str, columns: Mapping[str, Any], wanted_tags: Iterable[str], *, ordinal: int = 0) -> str:
        """A new object, PENDING_CREATE, with its tags and event. Its id."""
        object_id = self.deps.new_id()
        values: dict[str, Any] = {
            "operating_status": str(Operating.OFFLINE),
            **columns,
            "id": object_id,
            "load_balancer_id": self.state.id,
            "project_id": self.state.project_id,
            "provisioning_status": str(Provisioning.PENDING_CREATE),
            "generation": self.state.generation,
            "created_at": self.now,
        }
        table = objects.TABLES[kind]
        if "ordinal" in table.c:
            values["ordinal"] = ordinal
        self.new.add(table, values)
        tags.add(self.new, object_id, wanted_tags)
        self.tell(f"{kind}.create", kind, object_id, f"{_title(kind)} {_named(columns)}was created.")
        return object_id

    def update(self, kind: str, object_id: str, columns: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        """Write columns, and tags where `values` has them; the object turns PENDING_UPDATE."""
        self.update_all(kind, {object_id: (columns, values)})

    def update_all(self, kind: str, changes: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]) -> None:
        """The same for many objects, by id."""
        alike: defaultdict[frozenset[str], dict[str, Mapping[str, Any]]] = defaultdict(dict)
        for object_id, (columns, values) in changes.items():
            alike[frozenset(columns)][object_id] = {**columns, "updated_at": self.now}
            changed = ", ".join(sorted(values)) or "nothing"
            self.tell(f"{kind}.update", kind, object_id, f"{_title(kind)} was changed: {changed}.")
        for rows in alike.values():
            objects.change(self.connection, kind, rows, self.state.generation)
        for object_id, (_columns, values) in changes.items():
            self.replace_tags(object_id, values)

    def replace_tags(self, object_id: str, values: Mapping[str, Any]) -> None:
        """Write the tags, where `values` has them."""
        if values.get("tags") is not None:
            tags.replace(self.connection, object_id, values["tags"])

    def delete(self, kind: str, object_ids: Sequence[str]) -> None:
        """Mark objects PENDING_DELETE."""
        objects.mark_deleted(self.connection, kind, object_ids, self.state.generation, self.now)
        for object_id in object_ids:
            self.tell(f"{kind}.delete", kind, object_id, f"{_title(kind)} is being deleted.")

    def mark(self, kind: str, ids: Iterable[str]) -> None:
        """Objects that the change touches turn PENDING_UPDATE."""
        objects.mark_changed(self.connection, kind, ids, self.state.generation)

    def mark_pool(self, pool_id: str) -> None:
        """A pool whose member or monitor changes, and the listeners that use it (contract 00, section 14.2)."""
        self.mark("pool", (pool_id,))
        self.mark("listener", listeners.using_pool(self.connection, pool_id))

    def place(self, kind: str, object_id: str | None) -> objects.Place:
        """Where an object of this load balancer belongs, read under the lock. Raises the 404."""
        found = None if object_id is None else objects.place(self.connection, kind, object_id)
        if found is None or found.load_balancer_id != self.state.id:
            raise refuse(rules.not_found(kind, object_id))
        return found

    def require_mutable_pool(self, pool: objects.Place) -> None:
        """Raise the 409 of a pool, or then of the load balancer, that cannot be changed now."""
        if self._is_busy(pool):
            raise refuse(rules.immutable("pool", pool.id))
        self.require_mutable()

    def require_mutable_policy(self, policy: objects.Place, listener: objects.Place) -> None:
        """Raise the 409 of an L7 policy, or then of its listener or load balancer, that cannot be changed now."""
        if self._is_busy(policy):
            raise refuse(rules.immutable("l7policy", policy.id))
        self.require_mutable_listener(listener)

    def require_mutable_listener(self, listener: objects.Place) -> None:
        """Raise the 409 of the load balancer when it or the listener cannot be changed now."""
        if self._is_busy(listener):
            raise refuse(rules.immutable("load_balancer", self.state.id))
        self.require_mutable()

    def _is_busy(self, place: objects.Place) -> bool:
        strict = strictly(self.deps, self.state.provider)
        return place.provisioning_status == objects.DELETING or (
            strict and place.provisioning_status != Provisioning.ACTIVE
        )

    def tell(self, code: str, object_type: str, object_id: str, message: str) -> None:
        """Add an event row."""
        entry = Event(
            load_balancer_id=self.state.id,
            object_type=object_type,
            object_id=object_id,
            severity=Severity.INFO,
            code=code,
            message=message,
            request_id=self.context.request_id,
        )
        self.new.add(events.TABLE, events.row(entry, self.now))

    def request_work(self, priority: work.Priority = work.Priority.USER) -> None:
        """Ask the worker to look at the load balancer, where it is the worker's."""
        if self.state.provider in BUILT_IN_PROVIDERS:
            work.request(
                self.connection,
                self.state.id,
                project_id=self.state.project_id,
                priority=priority,
                request_id=self.context.request_id,
            )


def perform(
    deps: Deps,
    context: Context,
    load_balancer_id: str,
    act: Callable[[Change], _T],
    *,
    begin: Callable[[Connection, str], bool] | None = None,
    objection: Objection = child_objection,
    priority: work.Priority = work.Priority.USER,
) -> _T:
    """Run `act` as one change of a load balancer, and wake the worker. Raises `Refused`.

    `begin` is the compare-and-swap that opens it, by default the one for changes.
    """
    strict = deps.settings.immutable_while_pending

    def transaction(connection: Connection) -> _T:
        if begin is None:
            accepted = load_balancers.begin_change(connection, load_balancer_id, strict=strict)
        else:
            accepted = begin(connection, load_balancer_id)
        state = load_balancers.state(connection, load_balancer_id)
        if state is None:
            raise refuse(rules.not_found("load_balancer", load_balancer_id))
        change = Change(deps, context, connection, state, accepted=accepted, objection=objection)
        result = act(change)
        change.finish()
        change.request_work(priority)
        return result

    result = deps.database.transaction(transaction)
    deps.wake.hint(load_balancer_id)
    return result


def place_of(deps: Deps, kind: str, object_id: str | None) -> objects.Place:
    """Where an object belongs. Raises the 404."""
    with deps.database.read() as connection:
        found = None if object_id is None else objects.place(connection, kind, object_id)
    if found is None:
        raise refuse(rules.not_found(kind, object_id))
    return found


def leaving(deps: Deps, place: objects.Place) -> bool:
    """Whether an object is being deleted already, by itself or with its load balancer: deleting it changes nothing."""
    with deps.database.read() as connection:
        state = load_balancers.state(connection, place.load_balancer_id)
    if state is None or strictly(deps, state.provider):
        return False
    return objects.DELETING in (place.provisioning_status, state.provisioning_status)


def strictly(deps: Deps, provider: str) -> bool:
    """Whether every change waits for the one before. Drivers of providers that are not ours expect that."""
    return deps.settings.immutable_while_pending or provider not in BUILT_IN_PROVIDERS


def _title(kind: str) -> str:
    return rules.TITLES[kind].capitalize()


def _named(columns: Mapping[str, Any]) -> str:
    return f"{columns['name']} " if columns.get("name") else ""
