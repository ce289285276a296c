"""Writes of one client: each is asked for until it is known whether it happened, and the model is told."""

import random
from collections.abc import Sequence
from typing import Any

from tests.crash.client import Answer, Connection
from tests.crash.model import Balancer, Thing, World

_COLLECTIONS = {
    "listener": "/listeners",
    "pool": "/pools",
    "member": "/pools/{parent}/members",
    "healthmonitor": "/healthmonitors",
    "l7policy": "/l7policies",
    "rule": "/l7policies/{parent}/rules",
}
#: what names the parent of a new object, where its path does not
_PARENTS = {
    "listener": "loadbalancer_id",
    "pool": "loadbalancer_id",
    "healthmonitor": "pool_id",
    "l7policy": "listener_id",
}
#: What members have of which nothing else is said. Those that are there keep their names and tags where a request of
#: all members leaves them out; the rest is as if they were made anew (contract 30, section B6).
_MEMBER = {"name": "", "tags": [], "weight": 1, "backup": False, "admin_state_up": True, "monitor_port": None}
#: what goes with an action of L7 policies
_TARGETS = {
    "REDIRECT_TO_POOL": {"redirect_pool_id"},
    "REDIRECT_TO_URL": {"redirect_url", "redirect_http_code"},
    "REDIRECT_PREFIX": {"redirect_prefix", "redirect_http_code"},
}


class Contradiction(Exception):
    """The API showed what no order of the accepted requests explains."""


def collection(kind: str, parent: str | None = None) -> str:
    """Where objects of a kind are, of those with a path below their parent's: its own."""
    return _COLLECTIONS[kind].format(parent=parent)


def path(thing: Thing) -> str:
    """Where one object is."""
    return f"{collection(thing.kind, thing.parent)}/{thing.id}"


class Requests:
    """Those of the client `owner`, through `api`. None is malformed: those are asked for in `refusals`."""

    def __init__(self, world: World, api: Connection, owner: str, rng: random.Random) -> None:
        self._world = world
        self._api = api
        self._owner = owner
        self._rng = rng

    def create(self, balancer: Balancer, kind: str, values: dict[str, Any], parent: str | None) -> None:
        """Make an object. `parent`: the id of what it belongs to, if that is not the load balancer itself."""
        named = {_PARENTS[kind]: parent or balancer.id} if kind in _PARENTS else {}
        answer = self._api.surely("POST", collection(kind, parent), {kind: {**named, **values}})
        _well_formed(answer, values)
        if answer.done:
            self.add(balancer, kind, answer.body[kind]["id"], values, parent)

    def add(self, balancer: Balancer, kind: str, key: str, values: dict[str, Any], parent: str | None = None) -> None:
        """An object is there, and is this client's."""
        with self._world.lock:
            balancer.add(Thing(kind=kind, id=key, owner=self._owner, values=dict(values), parent=parent))

    def add_members(self, balancer: Balancer, pool_id: str, wanted: Sequence[dict[str, Any]]) -> None:
        """Members are there that were accepted without telling their ids: find them out. Raises Contradiction."""
        shown = self._api.get(collection("member", pool_id))
        if shown.status == 404:
            return
        ids = {
            each["protocol_port"]: each["id"]
            for each in shown.body["members"]
            if each["provisioning_status"] != "PENDING_DELETE"
        }
        for values in wanted:
            if values["protocol_port"] not in ids:
                if balancer.leaving:
                    return
                raise Contradiction(f"member {values} of pool {pool_id} was accepted, and is not there: {shown}")
            self.add(balancer, "member", ids[values["protocol_port"]], values, pool_id)

    def move(self, balancer: Balancer, policy: Thing, position: int) -> None:
        """Give an L7 policy another position. Asked for again it changes nothing more."""
        if self._api.surely("PUT", path(policy), {policy.kind: {"position": position}}).done:
            with self._world.lock:
                balancer.place(policy, position)

    def update(self, balancer: Balancer, thing: Thing, values: dict[str, Any]) -> None:
        """Give an object other values. Raises Contradiction."""
        if "position" in values:
            self.move(balancer, thing, values["position"])
            return
        if not self.put(path(thing), thing.kind, thing.values, values).done:
            return
        with self._world.lock:
            thing.values.update(values)
            if thing.kind == "l7policy":
                _drop_other_target(thing.values)

    def put(self, where: str, item: str, before: dict[str, Any], values: dict[str, Any]) -> Answer:
        """Give what had the values `before` others, in either of two ways. Raises Contradiction."""
        ask = self._api.surely if self._rng.random() < 0.5 else self._api.ask
        answer = ask("PUT", where, {item: values})
        _well_formed(answer, values)
        if answer.definite:
            return answer
        # Not asked again: either all of it happened or nothing.
        shown = self._api.get(where)
        if shown.status == 404:
            return shown
        now = shown.body[item]
        if all(now[name] == value for name, value in values.items()):
            return Answer(200, {})
        if any(now[name] != before.get(name, now[name]) for name in values):
            raise Contradiction(f"PUT {where} {values} was answered {answer.status}, and now there is {now}")
        return Answer(409, {})

    def put_members(self, balancer: Balancer, pool: Thing, wanted: Sequence[dict[str, Any]], *, additive: bool) -> None:
        """Give a pool these members in one request, beside or instead of others. Raises Contradiction."""
        where = f"{collection('member', pool.id)}?additive_only={str(additive).lower()}"
        if not self._api.surely("PUT", where, {"members": wanted}).done:
            return
        kept = {name: value for name, value in _MEMBER.items() if name in ("name", "tags")}
        before = {member.values["protocol_port"]: member for member in balancer.of("member", parent=pool.id)}
        complete = []
        for values in wanted:
            member = before.get(values["protocol_port"])
            same = kept if member is None else {name: member.values.get(name, kept[name]) for name in kept}
            complete.append({**_MEMBER, **same, **values})
        given = {each["protocol_port"] for each in wanted}
        with self._world.lock:
            for port, member in before.items():
                if not additive or port in given:
                    balancer.remove(member.id)
        self.add_members(balancer, pool.id, complete)

    def delete(self, balancer: Balancer, thing: Thing) -> None:
        """Remove an object, in either of two ways."""
        if self._rng.random() < 0.5:
            gone = self._api.surely("DELETE", path(thing)).done
        else:
            answer = self._api.ask("DELETE", path(thing))
            gone = answer.done if answer.definite else self._is_gone(path(thing))
        if gone:
            with self._world.lock:
                balancer.remove(thing.id)

    def _is_gone(self, where: str) -> bool:
        shown = self._api.get(where)
        if shown.status == 404:
            return True
        (found,) = shown.body.values()
        return bool(found["provisioning_status"] == "PENDING_DELETE")


def _well_formed(answer: Answer, values: dict[str, Any]) -> None:
    if answer.status == 400:
        raise Contradiction(f"{values} is said to be malformed: {answer.body}")


def _drop_other_target(values: dict[str, Any]) -> None:
    """A policy has the target of its action only (contract 50, section 1.4)."""
    for action, names in _TARGETS.items():
        if values["action"] != action:
            for name in names - _TARGETS.get(values["action"], set()):
                values.pop(name, None)
