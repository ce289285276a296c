"""Requests that must be refused, whatever happens."""

from typing import Any, TypeAlias
from uuid import uuid4

from tests.crash.choices import MEMBER_ADDRESS, Choices
from tests.crash.client import Connection
from tests.crash.model import Balancer, Thing
from tests.crash.requests import Contradiction, collection, path

#: method, path and body
Bad: TypeAlias = tuple[str, str, dict[str, Any] | None]


def ask(api: Connection, choices: Choices, balancer: Balancer) -> None:
    """One of them. Raises Contradiction if it is accepted."""
    tries = _anywhere(balancer)
    pool, listener = choices.one(balancer, "pool"), choices.one(balancer, "listener")
    if pool is not None or listener is not None:
        tries.append(("DELETE", f"/loadbalancers/{balancer.id}", None))
    if listener is not None:
        tries += _at_listener(balancer, listener)
    if pool is not None:
        tries += _at_pool(pool, choices.member(9))
    method, where, body = choices.rng.choice(tries)
    answer = api.surely(method, where, body)
    if answer.done and not (method == "DELETE" and answer.status == 204):
        raise Contradiction(f"{method} {where} {body} was accepted: {answer}")


def _anywhere(balancer: Balancer) -> list[Bad]:
    mine, nobody = {"loadbalancer_id": balancer.id}, str(uuid4())
    return [
        ("POST", "/listeners", {"listener": {**mine, "protocol": "NOPE", "protocol_port": 99}}),
        ("POST", "/listeners", {"listener": {"loadbalancer_id": nobody, "protocol": "HTTP", "protocol_port": 99}}),
        ("POST", "/pools", {"pool": {**mine, "protocol": "HTTP", "lb_algorithm": "NOPE"}}),
        ("DELETE", f"/pools/{nobody}", None),
        ("PUT", f"/listeners/{nobody}", {"listener": {"name": "refused"}}),
    ]


def _at_listener(balancer: Balancer, listener: Thing) -> list[Bad]:
    place = {name: listener.values[name] for name in ("protocol", "protocol_port")}
    same = {"loadbalancer_id": balancer.id, **place, "name": "refused"}
    return [
        ("POST", "/listeners", {"listener": same}),
        ("PUT", path(listener), {"listener": {"name": "refused", "default_pool_id": str(uuid4())}}),
    ]


def _at_pool(pool: Thing, good: dict[str, Any]) -> list[Bad]:
    heavy = {"name": "refused", "address": MEMBER_ADDRESS, "protocol_port": 9, "weight": 999}
    members = collection("member", pool.id)
    return [
        ("POST", members, {"member": heavy}),
        ("PUT", members, {"members": [good, heavy]}),
    ]
