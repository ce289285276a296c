"""A refused request leaves everything as it was: any request to any path of the API, also while the network fails."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from livia.api.operations import SUBJECTS
from livia.api.wire.attribute import Attribute, Nested, Resource
from livia.api.wire.kinds import Choice
from livia.core.drivers import DriverError, Network, Port, Subnet, Unreachable
from livia.drivers.network.noop import NoopNetworks
from livia.store.engine import Database
from tests.api.harness import SUBNET, UNKNOWN, Harness
from tests.database import fresh


class FailingNetworks(NoopNetworks):
    """A network service that fails when asked for one thing, in one of three ways; it counts the ports it made."""

    def __init__(self) -> None:
        self.failing = self.way = ""
        self.ports = 0

    def _fail(self, asked: str) -> None:
        if asked == self.failing:
            raise {
                "refused": DriverError("The network service refused.", status=409),
                "silent": Unreachable("The network service does not answer."),
                "broken": ZeroDivisionError("a defect"),
            }[self.way]

    def network(self, network_id: str) -> Network | None:
        self._fail("network")
        return super().network(network_id)

    def subnet(self, subnet_id: str) -> Subnet | None:
        self._fail("subnet")
        return None if subnet_id == UNKNOWN else super().subnet(subnet_id)

    def security_group_exists(self, group_id: str) -> bool:
        self._fail("group")
        return group_id != UNKNOWN

    def create_vip_port(
        self, load_balancer_id: str, project_id: str, network_id: str, fixed_ips: tuple[tuple[str, str | None], ...]
    ) -> Port:
        self._fail("create")
        self.ports += 1
        return super().create_vip_port(load_balancer_id, project_id, network_id, fixed_ips)

    def delete_port(self, port_id: str) -> None:
        self.ports -= 1


class Request(Struct, frozen=True):
    """A request, and what the network service fails at meanwhile. Names of the tree's ids stand for the ids."""

    method: str
    path: str
    body: Any
    query: str
    headers: dict[str, str]
    failing: str
    way: str


_ROWS = [(each, subject.resource) for subject in SUBJECTS for each in subject.operations if not each.open]
_WRITES = [row for row in _ROWS if row[0].method != "GET"]
#: names of ids, by what paths and attributes call them
_IDS = {
    "loadbalancer_id": "LOAD_BALANCER",
    "listener_id": "LISTENER",
    "pool_id": "POOL",
    "member_id": "MEMBER",
    "healthmonitor_id": "MONITOR",
    "default_pool_id": "POOL",
    "redirect_pool_id": "POOL",
    "l7policy_id": "POLICY",
    "rule_id": "RULE",
}
_VALUES: list[Any] = [
    *("", "x", "\x00", "x" * 300, "🦀", "10.0.0.21", "10.0.0.99", "2001:db8::1", "169.254.169.254", "10.0.0.0/8"),
    *(SUBNET, UNKNOWN, "/path", "200", "GET", "h2", "TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256"),
    *(True, False, -1, 0, 1, 5, 80, 8080, 65536, 2**40, 1.1, {}, {"X-Forwarded-For": "true"}, {"type": "SOURCE_IP"}),
    *([], ["t"], ["10.0.0.0/8"], ["http/1.1"], ["TLSv1.3"], [{"subnet_id": SUBNET}]),
]
_LEAST: dict[str, dict[str, Any]] = {
    "loadbalancer": {"vip_subnet_id": SUBNET},
    "listener": {"loadbalancer_id": "LOAD_BALANCER", "protocol": "HTTP", "protocol_port": 8080},
    "pool": {"loadbalancer_id": "LOAD_BALANCER", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"},
    "member": {"address": "10.0.0.22", "protocol_port": 80},
    "healthmonitor": {"pool_id": "POOL", "type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 3},
    "l7policy": {"listener_id": "LISTENER", "action": "REJECT"},
    "rule": {"type": "PATH", "compare_type": "STARTS_WITH", "value": "/x"},
}


def _often(*values: Any, rarely: list[Any]) -> st.SearchStrategy[Any]:
    """One of `values` in most cases; hypothesis likes 0 and the ends of a range, so the others are inside."""
    return st.integers(0, 9).flatmap(lambda dice: st.sampled_from(rarely if dice in (3, 6) else list(values)))


def _fits(attribute: Attribute, value: Any) -> bool:
    try:
        return attribute.kind is not None and attribute.kind.convert(value) is not None  # type: ignore[union-attr]
    except (ValueError, AttributeError):
        return False


def _value(attribute: Attribute) -> st.SearchStrategy[Any]:
    """A value that the attribute may have, and now and then another."""
    kind = attribute.kind
    if isinstance(kind, Nested):
        inner = _values(kind.resource(), "nested")
        return st.lists(inner, max_size=2) if kind.many else inner
    fitting = list(kind.words) if isinstance(kind, Choice) else [each for each in _VALUES if _fits(attribute, each)]
    if attribute.name in _IDS:
        fitting = [_IDS[attribute.name], UNKNOWN]
    return _often(*(fitting or [None]), rarely=[None, *_VALUES, *_IDS.values()])


def _values(resource: Resource, method: str) -> st.SearchStrategy[dict[str, Any]]:
    """What a body sets: the least that is needed, or less, and some more."""
    accepted = resource.accepting(method)
    least = _LEAST.get(resource.item, {}) if method != "update" else {}
    least = {name: value for name, value in least.items() if name in accepted}
    return st.deferred(
        lambda: st.tuples(
            _often(least, rarely=[{}, {"zz": 1}, *({name: least[name]} for name in least)]),
            st.lists(st.sampled_from(list(accepted.values())), max_size=3).flatmap(
                lambda chosen: st.fixed_dictionaries({each.name: _value(each) for each in chosen})
            ),
        ).map(lambda parts: {**parts[0], **parts[1]})
    )


@st.composite
def _requests(draw: st.DrawFn) -> Request:
    operation, resource = draw(st.sampled_from(_WRITES) | st.sampled_from(_ROWS))
    body: Any = None
    if operation.takes is not None and resource is not None:
        updating = operation.method == "PUT"
        body = {resource.item: draw(_values(resource, "update" if updating else "create"))}
        if operation.path.endswith("/members") and updating:
            body = {"members": draw(st.lists(_values(resource, "create"), max_size=3))}
    body = draw(_often(body, rarely=[None, b"{", b"[]", [], {}, {"zz": {}}, 7]))
    words = [
        draw(_often(_IDS.get(word[1:-1], UNKNOWN), rarely=[*_IDS.values(), UNKNOWN, "x"])) if "{" in word else word
        for word in operation.path.split("/")
    ]
    own = "cascade=true" if operation.method == "DELETE" and resource and resource.item == "loadbalancer" else ""
    query = draw(_often(own, rarely=["additive_only=true", "dry_run=true", "dry_run=x", "zz=1", "%00=%ff"]))
    headers = draw(_often({}, rarely=[{"If-Match": '"x"'}, {"If-Match": "*"}, {"Idempotency-Key": "k"}]))
    failures = [(asked, way) for asked in ("network", "subnet", "group", "create") for way in WAYS]
    failing, way = draw(_often(("", ""), rarely=failures))
    return Request(operation.method, "/".join(words), body, query, headers, failing, way)


WAYS = ("refused", "silent", "broken")


class Prepared(Struct, frozen=True):
    """A database with one of everything, and its ids by name."""

    template: Path
    ids: dict[str, str]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    directory = tmp_path_factory.mktemp("refusals")
    database = fresh(directory)
    tree = Harness(database).tree()
    database.close()
    return Prepared(directory / "livia.db", {name: getattr(tree, name.lower()) for name in set(_IDS.values())})


def _filled(value: Any, ids: dict[str, str]) -> Any:
    """The value with ids in place of their names."""
    if isinstance(value, str):
        return ids.get(value, value)
    if isinstance(value, list):
        return [_filled(each, ids) for each in value]
    if isinstance(value, dict):
        return {name: _filled(each, ids) for name, each in value.items()}
    return value


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    options=st.sampled_from(
        [{}, {}, {"immutable_while_pending": True}, {"default_listener_quota": 1, "default_member_quota": 1}]
    ),
    requests=st.lists(_requests(), min_size=4, max_size=10),
)
def test_what_is_refused_changes_nothing(prepared: Prepared, options: dict[str, Any], requests: list[Request]) -> None:
    path = prepared.template.with_name("copy.db")
    shutil.copy(prepared.template, path)
    networks, database = FailingNetworks(), Database(f"sqlite:///{path}", durable=False)
    harness = Harness(database, network=networks, **options)

    def state() -> Any:
        return harness.rows(), list(harness.wake.keys), networks.ports

    before = state()
    for each in requests:
        networks.failing, networks.way = each.failing, each.way
        url = "/".join(prepared.ids.get(word, word) for word in each.path.split("/"))
        body = each.body if isinstance(each.body, bytes) else _filled(each.body, prepared.ids)
        answer = harness.client.request(each.method, url, body, query=each.query, headers=each.headers, root="")
        after = state()
        if answer.status >= 400 or each.method == "GET" or each.query == "dry_run=true":
            assert after == before, (each, answer)
        if answer.status >= 400:
            assert answer.fault, (each, answer)
        assert answer.status < 500 or answer.status == 501 or each.failing, (each, answer)
        before = after
    database.engine.dispose()
