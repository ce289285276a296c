"""What an operator sees of a Livia that runs: metrics as documented, and one request in every log."""

import json
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from livia.ops.metrics import OFFSETS
from livia.pki.sockets import ClosingSocket
from tests.system.conftest import System, make_system
from tests.waiting import wait_for

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
ROW = re.compile(r"^\| `(livia_\w+)` \|", re.MULTILINE)
TYPE = re.compile(r"^# TYPE (livia_\w+) \w+$", re.MULTILINE)
#: the canary tells of itself, and does nothing here
CANARY = """
[livia]
canary_interval = 3600
"""
SERVICES = ("api", "worker", "health", "house", "canary")


@pytest.fixture(scope="module")
def seen() -> Iterator[System]:
    yield from make_system(CANARY)


def scraped(system: System, service: str) -> str:
    """What a service answers; `livia up` does not wait for each of them to listen."""
    port = system.livia.installation.settings.livia.metrics_port + OFFSETS[service]
    address = f"http://127.0.0.1:{port}/metrics"
    patience = urllib3.Retry(total=10, backoff_factor=0.1, backoff_max=1.0)
    answer = urllib3.request("GET", address, timeout=5.0, retries=patience)
    assert answer.status == 200
    return answer.data.decode()


def scraped_agent(system: System) -> str:
    """What the agent answers, to a controller's certificate."""
    state = system.livia.installation.state
    context = ssl.create_default_context(cafile=str(state.agents_ca))
    context.sslsocket_class = ClosingSocket
    context.load_cert_chain(str(state.controller_certificate))
    port = system.livia.installation.settings.agent.bind_port
    with urllib3.HTTPSConnectionPool(
        "127.0.0.1", port, ssl_context=context, assert_hostname=state.host_name, server_hostname=state.host_name
    ) as pool:
        return pool.request("GET", "/metrics").data.decode()


def value(text: str, series: str) -> float:
    (found,) = re.findall(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
    return float(found)


def test_every_metric_is_documented_and_every_documented_one_is_there(seen: System) -> None:
    texts = [*(scraped(seen, each) for each in SERVICES), scraped_agent(seen)]
    there = {name for text in texts for name in TYPE.findall(text) if not name.endswith("_created")}
    assert there == set(ROW.findall(PAGE))
    queries = "".join(re.findall(r"```promql\n(.*?)```", PAGE, re.DOTALL))
    asked = {re.sub(r"_(bucket|count|sum)$", "", name) for name in re.findall(r"livia_\w+", queries)}
    assert asked
    assert asked <= there


def test_the_public_address_has_no_metrics(seen: System) -> None:
    assert urllib3.request("GET", f"{seen.endpoint}/metrics").status == 404


def test_one_request_is_in_every_log_and_counted(seen: System) -> None:
    body = {"loadbalancer": {"name": "traced", "vip_subnet_id": seen.stage.subnet.id}}
    answer = urllib3.request("POST", f"{seen.endpoint}/v2/lbaas/loadbalancers", json=body)
    assert answer.status == 201
    request_id, key = answer.headers["x-openstack-request-id"], answer.json()["loadbalancer"]["id"]
    seen.api.wait_active(key)

    # The worker tells of it once it is done: ACTIVE is seen before.
    wait_for(
        lambda: any(
            (each.get("request_id"), each["event"]) == (request_id, "reconciled") for each in lines(seen, "worker")
        ),
        30.0,
        "the worker did not tell",
    )
    logs = {name: lines(seen, name) for name in ("api", "worker", "agent")}
    mine = {name: [line for line in found if line.get("request_id") == request_id] for name, found in logs.items()}
    assert [(line["event"], line["method"], line["status"]) for line in mine["api"]] == [("request", "POST", 201)]
    assert {line["event"] for line in mine["worker"]} >= {"reconciled"}
    assert [line["method"] for line in mine["agent"] if line["event"] == "request"] == ["PUT", "PUT"]
    reconciles = {line["reconcile_id"] for line in mine["worker"]}
    assert {line["reconcile_id"] for line in mine["agent"]} <= reconciles
    events = seen.api.get(f"/loadbalancers/{key}/events?request_id={request_id}")["events"]
    assert {each["code"] for each in events} == {"load_balancer.create", "load_balancer.active"}

    counted = 'livia_api_requests_total{method="POST",resource="loadbalancers",status="201"}'
    assert value(scraped(seen, "api"), counted) == 1.0
    worker = scraped(seen, "worker")
    assert value(worker, 'livia_action_duration_seconds_count{action="apply",outcome="done"}') == 2.0
    assert value(worker, 'livia_work_found_total{by="hint"}') >= 1.0
    assert value(worker, "livia_pending_objects") == 0.0


def lines(system: System, service: str) -> list[dict[str, Any]]:
    path = system.livia.installation.state.log_directory / f"{service}.log"
    return [json.loads(line) for line in path.read_text().splitlines()]
