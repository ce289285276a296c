"""`Idempotency-Key`: the same POST again has the same answer, and is done once (docs/extensions.md)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from livia.core.drivers import Port
from livia.store import tables as t
from livia.store.engine import Database
from tests.api.client import Answer
from tests.api.conftest import MakeHarness
from tests.api.harness import SUBNET, Harness, Tree
from tests.api.networks import V4, ListedNetworks
from tests.api.writes import creates, writes
from tests.house.turns import clean


def _post(harness: Harness, path: str, body: Any, key: str, **headers: str) -> Answer:
    return harness.client.request("POST", path, body, headers={"Idempotency-Key": key, **headers})


def _count(harness: Harness, table: Any) -> int:
    with harness.database.read() as connection:
        number: int = connection.execute(select(func.count()).select_from(table)).scalar_one()
    return number


def _age(harness: Harness, by: timedelta) -> None:
    """All answers were given so much earlier."""
    with harness.database.write() as connection:
        for row in connection.execute(select(t.idempotency)).all():
            connection.execute(
                update(t.idempotency).where(t.idempotency.c.id == row.id).values(created_at=row.created_at - by)
            )


def test_every_create_again(anywhere: Harness) -> None:
    tree = anywhere.tree()
    for number, write in enumerate(each for each in writes(anywhere, tree) if each.method == "POST"):
        anywhere.wake.keys.clear()
        first = _post(anywhere, write.path, write.body, f"k{number}")
        assert first.status == 201, first.body
        assert "idempotency-replayed" not in first.headers
        assert len(anywhere.wake.keys) == write.wakes
        rows = anywhere.rows()
        again = _post(anywhere, write.path, write.body, f"k{number}")
        assert (again.status, again.body) == (first.status, first.body), write
        assert again.headers["content-type"] == first.headers["content-type"]
        assert again.headers["idempotency-replayed"] == "true"
        assert again.headers["x-openstack-request-id"] != first.headers["x-openstack-request-id"]
        assert anywhere.rows() == rows
        assert len(anywhere.wake.keys) == write.wakes


def test_the_answer_stays_what_it_was(harness: Harness, tree: Tree) -> None:
    body = {"member": tree.minimal("member")}
    first = _post(harness, tree.collections["member"], body, "k")
    path = f"{tree.collections['member']}/{first.json['member']['id']}"
    assert harness.client.put(path, {"member": {"weight": 9}}).status == 200
    assert harness.client.delete(path).status == 204
    assert _post(harness, tree.collections["member"], body, "k").body == first.body


OTHER_REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("/loadbalancers", {"loadbalancer": {"vip_subnet_id": SUBNET, "name": "other"}}),
    ("/listeners", {"loadbalancer": {"vip_subnet_id": SUBNET}}),
]


def test_a_key_belongs_to_one_request(harness: Harness) -> None:
    body = {"loadbalancer": {"vip_subnet_id": SUBNET}}
    assert _post(harness, "/loadbalancers", body, "k").status == 201
    before = harness.rows()
    for path, other in OTHER_REQUESTS:
        answer = _post(harness, path, other, "k")
        assert (answer.status, "Idempotency-Key came with another request" in answer.fault) == (422, True), path
    assert harness.rows() == before
    alias = harness.client.request(
        "POST", "/loadbalancers/", body, root="/v2.0/lbaas", headers={"Idempotency-Key": "k"}
    )
    assert alias.headers["idempotency-replayed"] == "true"


def test_a_key_belongs_to_a_project_and_a_user(harness: Harness) -> None:
    body = {"loadbalancer": {"vip_subnet_id": SUBNET}}
    callers = [
        {},
        {"X-Project-Id": "one"},
        {"X-Project-Id": "one", "X-User-Id": "ann"},
        {"X-Project-Id": "one", "X-User-Id": "bob"},
        {"X-Project-Id": "on", "X-User-Id": "eann"},
    ]
    keys = ["k", "K", "k "]
    answers = [_post(harness, "/loadbalancers", body, key, **caller) for caller in callers for key in keys]
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["loadbalancer"]["id"] for answer in answers}) == len(answers)


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_keys_that_are_refused(harness: Harness, key: str) -> None:
    before = harness.rows()
    answer = _post(harness, "/loadbalancers", {"loadbalancer": {"vip_subnet_id": SUBNET}}, key)
    assert (answer.status, answer.fault) == (
        400,
        f"Idempotency-Key must have 1 to 255 characters, and has {len(key)}.",
    )
    assert harness.rows() == before


def test_a_refusal_is_not_kept(harness: Harness, tree: Tree) -> None:
    body = {"member": tree.minimal("member")}
    harness.set_status("load_balancer", tree.load_balancer, "PENDING_DELETE")
    before = harness.rows()
    assert _post(harness, tree.collections["member"], body, "k").status == 409
    assert harness.rows() == before
    harness.set_status("load_balancer", tree.load_balancer, "ACTIVE")
    assert _post(harness, tree.collections["member"], body, "k").status == 201
    assert _post(harness, tree.collections["member"], body, "k").headers["idempotency-replayed"] == "true"


def test_only_creates_have_keys(harness: Harness, tree: Tree) -> None:
    for write in (each for each in writes(harness, tree) if each.method == "PUT"):
        for _time in range(2):
            answer = harness.client.request("PUT", write.path, write.body, headers={"Idempotency-Key": "k"})
            assert answer.status == write.status, write
            assert "idempotency-replayed" not in answer.headers
    assert _count(harness, t.idempotency) == 0


def test_a_dry_run_keeps_no_answer(harness: Harness) -> None:
    body = {"loadbalancer": {"vip_subnet_id": SUBNET}}
    headers = {"Idempotency-Key": "k"}
    before = harness.rows()
    assert harness.client.request("POST", "/loadbalancers?dry_run=true", body, headers=headers).status == 201
    assert harness.rows() == before
    real = _post(harness, "/loadbalancers", body, "k")
    assert "idempotency-replayed" not in real.headers
    rehearsed = harness.client.request("POST", "/loadbalancers?dry_run=true", body, headers=headers)
    assert rehearsed.json == real.json


def test_answers_are_repeated_for_a_day(harness: Harness) -> None:
    body = {"loadbalancer": {"vip_subnet_id": SUBNET}}
    first = _post(harness, "/loadbalancers", body, "k")
    _age(harness, timedelta(hours=23, minutes=59))
    assert _post(harness, "/loadbalancers", body, "k").json == first.json
    _age(harness, timedelta(minutes=1))
    second = _post(harness, "/loadbalancers", body, "k")
    assert second.json["loadbalancer"]["id"] != first.json["loadbalancer"]["id"]
    assert _post(harness, "/loadbalancers", body, "k").json == second.json
    assert _count(harness, t.idempotency) == 1


def test_the_house_forgets_old_answers(anywhere: Harness) -> None:
    for key in ("old", "young"):
        _post(anywhere, "/loadbalancers", {"loadbalancer": {"vip_subnet_id": SUBNET}}, key)
        if key == "old":
            _age(anywhere, timedelta(hours=25))
    assert clean(anywhere.database).done == 1
    assert _count(anywhere, t.idempotency) == 1
    assert clean(anywhere.database).done == 0


def test_the_same_request_many_times_at_once(anywhere: Harness) -> None:
    """Also where the object itself could not be there twice."""
    tree = anywhere.tree()
    for number, write in enumerate(creates(anywhere, tree)):
        before = _count(anywhere, t.load_balancer), _count(anywhere, t.member), _count(anywhere, t.listener)
        with ThreadPoolExecutor(6) as pool:
            calls = [pool.submit(_post, anywhere, write.path, write.body, f"k{number}") for _ in range(6)]
            answers = [call.result() for call in calls]
        assert {(answer.status, answer.body) for answer in answers} == {(201, answers[0].body)}, write
        assert sum("idempotency-replayed" in answer.headers for answer in answers) == 5
        after = _count(anywhere, t.load_balancer), _count(anywhere, t.member), _count(anywhere, t.listener)
        assert max(new - old for new, old in zip(after, before, strict=True)) <= 1


class _Meanwhile(ListedNetworks):
    """A network service during whose answer the same request comes by another way."""

    def __init__(self) -> None:
        super().__init__()
        self.act: Any = None

    def create_vip_port(
        self, load_balancer_id: str, project_id: str, network_id: str, fixed_ips: tuple[tuple[str, str | None], ...]
    ) -> Port:
        act, self.act = self.act, None
        if act is not None:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(act).result()
        return super().create_vip_port(load_balancer_id, project_id, network_id, fixed_ips)


def test_the_port_of_the_slower_request_is_given_back(database: Database, make: MakeHarness) -> None:
    networks = _Meanwhile()
    harness = make(network=networks)
    body = {"loadbalancer": {"vip_subnet_id": V4}}
    faster: list[Answer] = []
    networks.act = lambda: faster.append(_post(harness, "/loadbalancers", body, "k"))
    slower = _post(harness, "/loadbalancers", body, "k")
    assert slower.body == faster[0].body
    kept, lost = networks.made
    assert slower.json["loadbalancer"]["vip_port_id"] == kept
    assert networks.deleted == [lost]
    assert _count(harness, t.load_balancer) == 1
    assert len(harness.wake.keys) == 1
