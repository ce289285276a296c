"""The amphora administration API (contract 70)."""

from typing import Any

import pytest
from sqlalchemy import select, update

from livia.core.model.status import AmphoraStatus
from livia.store import tables as t
from livia.store.work import Priority
from tests.api.amphorae import SHOWN_WHEN, WHEN, put, reported
from tests.api.conftest import MakeHarness
from tests.api.harness import UNKNOWN, Harness
from tests.api.test_lists import HeaderAuth
from tests.api.test_offer import Asked

ROOT = "/v2/octavia"
MASTER, BACKUP, ORPHAN, GONE = (f"{n}0000000-0000-4000-8000-00000000000{n}" for n in range(1, 5))
IMAGE = "55555555-5555-4555-8555-555555555555"
PORT, VIP_PORT = "66666666-6666-4666-8666-666666666666", "77777777-7777-4777-8777-777777777777"

COLUMNS: dict[str, Any] = {
    "compute_id": "host-1",
    "lb_network_ip": "192.0.2.10",
    "vrrp_ip": "198.51.100.7",
    "ha_ip": "198.51.100.1",
    "vrrp_port_id": PORT,
    "ha_port_id": VIP_PORT,
    "role": "MASTER",
    "status": "ALLOCATED",
    "vrrp_interface": "eth1",
    "vrrp_id": 1,
    "vrrp_priority": 100,
    "cached_zone": "nova",
    "image_id": IMAGE,
    "compute_flavor": "m1.amphora",
}


def pair(harness: Harness) -> str:
    """An ACTIVE load balancer with two amphorae, an amphora without one, and a deleted one. Its id."""
    load_balancer = harness.load_balancer(project_id="mine")["id"]
    harness.confirm(load_balancer)
    put(harness, MASTER, load_balancer, **COLUMNS, cert_expiration=WHEN, cert_busy=True)
    put(harness, BACKUP, load_balancer, role="BACKUP", status="ALLOCATED", vrrp_priority=90)
    put(harness, ORPHAN, None, status="ERROR")
    put(harness, GONE, load_balancer, role="BACKUP", status="DELETED")
    with harness.database.write() as connection:
        connection.execute(t.work.delete())
    harness.wake.keys.clear()
    return str(load_balancer)


def request(harness: Harness, method: str, path: str, body: Any = None, query: str = "", **headers: str) -> Any:
    return harness.client.request(method, f"/amphorae{path}", body, root=ROOT, query=query, headers=headers)


def refused(harness: Harness, method: str, path: str, status: int, fault: str, query: str = "") -> None:
    """A request must be refused with this fault string, and change nothing."""
    before = harness.rows()
    answer = request(harness, method, path, query=query)
    assert (answer.status, answer.fault) == (status, fault), path
    assert harness.rows() == before


def column(harness: Harness, amphora_id: str, name: str) -> Any:
    with harness.database.read() as connection:
        return connection.execute(select(t.amphora.c[name]).where(t.amphora.c.id == amphora_id)).scalar_one()


def work(harness: Harness) -> list[tuple[str, str | None, int]]:
    """Key, project and priority of what the worker is asked for."""
    with harness.database.read() as connection:
        rows = connection.execute(select(t.work.c.key, t.work.c.project_id, t.work.c.priority))
        return [(row[0], row[1], row[2]) for row in rows]


def last_event(harness: Harness, load_balancer_id: str) -> tuple[str, str, str]:
    events = harness.client.get(f"/loadbalancers/{load_balancer_id}/events").json["events"]
    return events[-1]["object_type"], events[-1]["object_id"], events[-1]["code"]


def test_every_attribute(anywhere: Harness) -> None:
    load_balancer = pair(anywhere)
    times = dict.fromkeys(("created_at", "updated_at", "cert_expiration"), SHOWN_WHEN)
    expected = {"id": MASTER, "loadbalancer_id": load_balancer, **COLUMNS, **times, "cert_busy": True}
    assert request(anywhere, "GET", f"/{MASTER}").json == {"amphora": expected}
    bare = request(anywhere, "GET", f"/{ORPHAN}").json["amphora"]
    given = {"id": ORPHAN, "status": "ERROR", "cert_busy": False, "created_at": SHOWN_WHEN, "updated_at": SHOWN_WHEN}
    assert bare == {**dict.fromkeys(expected), **given}
    listed = request(anywhere, "GET", "").json
    assert [each["id"] for each in listed["amphorae"]] == [MASTER, BACKUP, ORPHAN]
    assert listed["amphorae"][0] == expected
    assert listed["amphorae_links"] == []
    for name in expected:
        assert request(anywhere, "GET", "", query=f"sort={name}").status == 200, name


def test_filters(harness: Harness) -> None:
    load_balancer = pair(harness)
    shown = request(harness, "GET", f"/{MASTER}").json["amphora"]
    everybody = [MASTER, BACKUP, ORPHAN]
    shared = {
        "loadbalancer_id": [MASTER, BACKUP],
        "status": [MASTER, BACKUP],
        "created_at": everybody,
        "updated_at": everybody,
    }
    for name, value in shown.items():
        found = request(harness, "GET", "", query=f"{name}={value}").json["amphorae"]
        assert [each["id"] for each in found] == shared.get(name, [MASTER]), name
        other = request(harness, "GET", "", query=f"{name}={'false' if name == 'cert_busy' else '42'}").json
        assert MASTER not in [each["id"] for each in other["amphorae"]], name
    queries: list[tuple[str, list[str]]] = [
        ("project_id=mine", [MASTER, BACKUP]),
        ("project_id=other", []),
        (f"loadbalancer_id={load_balancer}&role=BACKUP", [BACKUP]),
        ("vrrp_priority=many", []),
        ("tags=x", everybody),
        ("sort=vrrp_priority:desc", everybody),
        ("limit=1", [MASTER]),
        (f"limit=1&marker={MASTER}", [BACKUP]),
        (f"limit=1&marker={ORPHAN}&page_reverse=True", [BACKUP]),
    ]
    for query, ids in queries:
        found = request(harness, "GET", "", query=query).json["amphorae"]
        assert [each["id"] for each in found] == ids, query
    page = request(harness, "GET", "", query="limit=1&fields=id").json
    assert page["amphorae"] == [{"id": MASTER}]
    href = f"http://lb.example.net:9876/v2/octavia/amphorae?limit=1&fields=id&marker={MASTER}"
    assert page["amphorae_links"] == [{"rel": "next", "href": href}]
    assert request(harness, "GET", f"/{MASTER}", query="fields=role").json == {"amphora": {"role": "MASTER"}}
    bad = "One or more arguments are either duplicate or invalid"
    for name in ("tenant_id", "name", "applied_generation", "agent_port", "provisioning_status"):
        refused(harness, "GET", "", 400, bad, query=f"{name}=x")
    refused(harness, "GET", "", 400, "Supplied sort key 'project_id' is not valid.", query="sort=project_id")


def test_paths(harness: Harness) -> None:
    pair(harness)
    for root in ("/v2/octavia", "/v2.0/octavia", "/load-balancer/v2.0/octavia"):
        for path in ("/amphorae", f"/amphorae/{MASTER}/"):
            assert harness.client.request("GET", path, root=root).status == 200
        assert harness.client.request("GET", "/listeners", root=root).status == 404
    for root in ("/v2/lbaas", "/v2.0/lbaas", "/v2"):
        assert harness.client.request("GET", "/amphorae", root=root).status == 404
        assert harness.client.request("PUT", f"/amphorae/{MASTER}/failover", root=root).status == 404
    assert request(harness, "GET", f"/{MASTER}/zz").status == 404
    calls = [("POST", ""), ("PUT", f"/{MASTER}"), ("POST", f"/{MASTER}"), ("GET", f"/{MASTER}/failover")]
    for method, path in [*calls, ("GET", f"/{MASTER}/config"), ("PUT", f"/{MASTER}/stats")]:
        answer = request(harness, method, path, {})
        assert answer.status == 405, (method, path)
        assert answer.json == {"code": 405, "title": "Method Not Allowed", "description": ""}


def test_unknown_amphorae(harness: Harness) -> None:
    pair(harness)
    for key in (GONE, UNKNOWN, "garbage", "%00"):
        shown = {"%00": "\ufffd"}.get(key, key)
        missing = f"Amphora {shown} not found."
        for method, path in (("GET", ""), ("DELETE", ""), ("PUT", "/config"), ("PUT", "/failover")):
            refused(harness, method, f"/{key}{path}", 404, missing)
    for key in (GONE, UNKNOWN, MASTER):
        refused(harness, "GET", f"/{key}/stats", 404, f"Amphora stats for {key} not found.")


def test_statistics(harness: Harness) -> None:
    load_balancer = pair(harness)
    listeners = [harness.listener(load_balancer, protocol_port=port)["id"] for port in (80, 81)]
    counters = {"active_connections": 1, "total_connections": 2**40, "bytes_in": 3, "bytes_out": 4, "request_errors": 5}
    for listener in listeners:
        for amphora in (MASTER, GONE):
            reported(harness, amphora, load_balancer, listener, **counters)
    expected = [
        {"id": MASTER, "loadbalancer_id": load_balancer, "listener_id": listener, **counters}
        for listener in sorted(listeners)
    ]
    assert request(harness, "GET", f"/{MASTER}/stats").json == {"amphora_stats": expected}
    for key in (BACKUP, GONE):
        refused(harness, "GET", f"/{key}/stats", 404, f"Amphora stats for {key} not found.")


@pytest.mark.parametrize("body", [None, b"", b'""', {}, b"[", {"zz": 1}])
def test_puts_take_no_body(harness: Harness, body: Any) -> None:
    pair(harness)
    for path in (f"/{MASTER}/failover", f"/{MASTER}/config"):
        answer = request(harness, "PUT", path, body)
        assert (answer.status, answer.body, answer.headers["content-length"]) == (202, b"", "0")
        assert "content-type" not in answer.headers


def test_failover(harness: Harness) -> None:
    load_balancer = pair(harness)
    generation = harness.generation("load_balancer", load_balancer)
    assert request(harness, "PUT", f"/{MASTER}/failover").status == 202
    assert [column(harness, key, "replace_requested") for key in (MASTER, BACKUP)] == [True, False]
    assert harness.statuses(load_balancer)["load_balancer"] == "PENDING_UPDATE"
    assert harness.generation("load_balancer", load_balancer) == generation + 1
    assert work(harness) == [(load_balancer, "mine", Priority.FAILOVER)]
    assert harness.wake.keys == [load_balancer]
    assert last_event(harness, load_balancer) == ("amphora", MASTER, "amphora.failover")


def test_failover_while_the_load_balancer_cannot_be_changed(make: MakeHarness) -> None:
    harness = make(immutable_while_pending=True)
    load_balancer = pair(harness)
    text = f"Load Balancer {load_balancer} is immutable and cannot be updated."
    for status in ("PENDING_CREATE", "PENDING_UPDATE", "PENDING_DELETE", "ERROR"):
        harness.set_status("load_balancer", load_balancer, status)
        refused(harness, "PUT", f"/{MASTER}/failover", 409, text)
    lenient = make()
    for status, accepted in (("PENDING_UPDATE", 202), ("ERROR", 202), ("PENDING_DELETE", 409)):
        lenient.set_status("load_balancer", load_balancer, status)
        assert request(lenient, "PUT", f"/{MASTER}/failover").status == accepted, status


def test_config(harness: Harness) -> None:
    load_balancer = pair(harness)
    for status in ("ACTIVE", "ERROR", "PENDING_UPDATE"):
        harness.set_status("load_balancer", load_balancer, status)
        before = harness.generation("load_balancer", load_balancer)
        with harness.database.write() as connection:
            connection.execute(update(t.amphora).values(applied_generation=5))
        assert request(harness, "PUT", f"/{MASTER}/config").status == 202
        assert [column(harness, key, "applied_generation") for key in (MASTER, BACKUP)] == [0, 5]
        assert column(harness, MASTER, "status") == "ALLOCATED"
        assert harness.statuses(load_balancer)["load_balancer"] == status
        assert harness.generation("load_balancer", load_balancer) == before
    assert work(harness) == [(load_balancer, "mine", Priority.USER)]
    assert harness.wake.keys == [load_balancer] * 3
    assert last_event(harness, load_balancer) == ("amphora", MASTER, "amphora.config")


def test_an_amphora_without_a_load_balancer(harness: Harness) -> None:
    pair(harness)
    for path in ("config", "failover"):
        refused(harness, "PUT", f"/{ORPHAN}/{path}", 409, f"Amphora {ORPHAN} belongs to no load balancer.")
    answer = request(harness, "DELETE", f"/{ORPHAN}")
    assert (answer.status, answer.body) == (204, b"")
    assert request(harness, "GET", f"/{ORPHAN}").json["amphora"]["status"] == "PENDING_DELETE"
    assert work(harness) == [(ORPHAN, None, Priority.USER)]
    assert harness.wake.keys == [ORPHAN]


NOT_DELETABLE = [each for each in AmphoraStatus if each not in ("ERROR", "DELETED")]


def test_delete(harness: Harness) -> None:
    load_balancer = pair(harness)
    for status in NOT_DELETABLE:
        with harness.database.write() as connection:
            connection.execute(update(t.amphora).where(t.amphora.c.id == MASTER).values(status=str(status)))
        refused(harness, "DELETE", f"/{MASTER}", 409, f"amphora {MASTER} is immutable and cannot be updated.")
        assert request(harness, "GET", "", query=f"status={status}&id={MASTER}").json["amphorae"] != []
    with harness.database.write() as connection:
        connection.execute(update(t.amphora).where(t.amphora.c.id == MASTER).values(status="ERROR"))
    refused(harness, "DELETE", f"/{MASTER}", 400, 'Unknown argument: "zz"', query="zz=1")
    assert request(harness, "DELETE", f"/{MASTER}").status == 204
    assert column(harness, MASTER, "status") == "PENDING_DELETE"
    assert harness.statuses(load_balancer)["load_balancer"] == "ACTIVE"
    assert work(harness) == [(load_balancer, "mine", Priority.USER)]
    assert last_event(harness, load_balancer) == ("amphora", MASTER, "amphora.delete")


def test_policy(make: MakeHarness) -> None:
    pair(make())
    policy = Asked()
    harness = make(authenticator=HeaderAuth(), policy=policy)
    before = harness.rows()
    calls: list[tuple[str, str, str, str]] = [
        ("GET", "", "get_all", "caller"),
        ("GET", f"/{MASTER}", "get_one", "caller"),
        ("GET", f"/{UNKNOWN}/stats", "get_stats", "caller"),
        ("DELETE", f"/{UNKNOWN}", "delete", "caller"),
        ("PUT", f"/{MASTER}/config", "put_config", "mine"),
        ("PUT", f"/{MASTER}/failover", "put_failover", "mine"),
    ]
    for method, path, action, target in calls:
        answer = request(harness, method, path, **{"X-Project-Id": "caller"})
        assert (answer.status, answer.fault) == (403, "Policy does not allow this request to be performed."), path
        assert policy.rules.pop() == (f"os_load-balancer_api:amphora:{action}", target)
    for method, path in (("GET", ""), ("PUT", "/config"), ("PUT", "/failover")):
        answer = request(harness, method, f"/{UNKNOWN}{path}", **{"X-Project-Id": "caller"})
        assert (answer.status, policy.rules) == (404, []), path
    assert harness.rows() == before
