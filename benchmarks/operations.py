"""The requests that are measured, on rows that are the same in every service.

Reads repeat one request. Writes go each to a load balancer of its own that nobody touched before: a service may
refuse changes while one is under way, and nobody works here.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from msgspec import Struct

from benchmarks.seed import Copies
from benchmarks.subject import Request, Subject

_SUBNET = "6f4b9a0e-2a53-4c6b-9c1f-6f2d0c2b5a11"
#: load balancers in the whole table, and in the projects that are listed
TABLE, LARGE, SMALL = 10_000, 1_000, 100
#: times less CPU than the peer that reads and writes must take
_READ, _WRITE = 15.0, 10.0


class Operation(Struct, frozen=True, kw_only=True):
    """`requests`: makes that many of them. `count`: how many a round has. `least`: times cheaper than the peer."""

    name: str
    title: str
    requests: Callable[[int], Sequence[Request]]
    count: int
    least: float


class World:
    """What one service's database holds, and the requests for it."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self._copies = Copies(subject)
        self._bare = self._create()
        self._typical = self._create(listeners=[listener(80, members=2)])
        self._tree = self._create(listeners=_ten_by_ten())
        self._pool = self._create(listeners=[listener(80, members=0)])
        self._small, self._large = uuid4().hex, uuid4().hex
        self._copies.make(self._typical["id"], SMALL, project=self._small)

    def fill(self) -> None:
        """Bring the table to its size: the large project, and many others."""
        self._copies.make(self._typical["id"], LARGE, project=self._large)
        others = TABLE - LARGE - SMALL
        for _project in range(9):
            self._copies.make(self._bare["id"], others // 9, project=uuid4().hex)

    def operations(self) -> list[Operation]:
        """Everything that is measured in the full table."""
        one, tree = f"/loadbalancers/{self._typical['id']}", f"/loadbalancers/{self._tree['id']}/status"
        large = f"/loadbalancers?project_id={self._large}"
        return [
            Operation(name="get_one", title="GET one", requests=_repeat(one), count=200, least=_READ),
            self.list_small(),
            Operation(
                name="list_1000", title=f"list of {LARGE:,} in {TABLE:,}", requests=_repeat(large), count=8, least=_READ
            ),
            Operation(name="status_tree", title="status tree, 10 by 10", requests=_repeat(tree), count=40, least=_READ),
            Operation(
                name="post_listener", title="POST listener", requests=self._post_listener, count=50, least=_WRITE
            ),
            Operation(
                name="create_tree",
                title="single-call create, 10 by 10",
                requests=self._create_tree,
                count=6,
                least=_WRITE,
            ),
            Operation(
                name="put_members", title="PUT batch of 100 members", requests=self._put_members, count=6, least=_WRITE
            ),
        ]

    def list_small(self) -> Operation:
        """The list of the small project, which is there before the table is filled."""
        requests = _repeat(f"/loadbalancers?project_id={self._small}")
        return Operation(name="list_100", title=f"list of {SMALL}", requests=requests, count=30, least=_READ)

    def _create(self, **children: Any) -> dict[str, Any]:
        """A load balancer made through the API, ACTIVE."""
        created: dict[str, Any] = self.subject.ask(creation(**children))["loadbalancer"]
        self._copies.settle(created["id"])
        return created

    def _post_listener(self, count: int) -> list[Request]:
        copies = self._copies.make(self._bare["id"], count)
        body = {"name": "http", "protocol": "HTTP", "protocol_port": 80}
        return [
            Request("POST", "/listeners", _json({"listener": {**body, "loadbalancer_id": new[self._bare["id"]]}}), 201)
            for new in copies
        ]

    def _create_tree(self, count: int) -> list[Request]:
        return [creation(listeners=_ten_by_ten()) for _ in range(count)]

    def _put_members(self, count: int) -> list[Request]:
        (pool,) = self._pool["pools"]
        copies = self._copies.make(self._pool["id"], count)
        body = _json({"members": [_member(number) for number in range(100)]})
        return [Request("PUT", f"/pools/{new[pool['id']]}/members", body, 202) for new in copies]


def _repeat(path: str) -> Callable[[int], list[Request]]:
    return lambda count: [Request("GET", path)] * count


def creation(**children: Any) -> Request:
    """Asks for a load balancer and what it has."""
    body = {"loadbalancer": {"name": "bench", "vip_subnet_id": _SUBNET, **children}}
    return Request("POST", "/loadbalancers", _json(body), 201)


def _ten_by_ten() -> list[dict[str, Any]]:
    return [listener(8000 + number, members=10) for number in range(10)]


def listener(port: int, *, members: int) -> dict[str, Any]:
    """Of a tree that is asked for: a listener and its pool."""
    pool = {
        "name": f"pool-{port}",
        "protocol": "HTTP",
        "lb_algorithm": "ROUND_ROBIN",
        "members": [_member(number) for number in range(members)],
    }
    return {"name": f"listener-{port}", "protocol": "HTTP", "protocol_port": port, "default_pool": pool}


def _member(number: int) -> dict[str, Any]:
    return {"name": f"web-{number}", "address": f"10.0.{number // 250}.{number % 250 + 1}", "protocol_port": 80}


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
