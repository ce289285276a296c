"""Every command of python-octaviaclient, as its users type it, against a running system with amphorae."""

import json
import shlex
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, build_opener
from uuid import uuid4

import pytest
from sqlalchemy import insert

from livia.drivers.network.qos import QosPolicies
from livia.ops.demo.stage import BACKEND_PORT
from livia.store import tables as t
from tests.clients.commands import AMPHORAE, SERVED, STORY, Step
from tests.clients.matrix import COMMANDS, command_of
from tests.clients.shell import Shell
from tests.database import NOW
from tests.system.conftest import System
from tests.waiting import wait_for


@pytest.fixture
def shell(system: System) -> Iterator[Shell]:
    with Shell(system.endpoint) as shell:
        yield shell


class Telling:
    """Goes through the steps, and remembers what later ones need."""

    def __init__(self, system: System, shell: Shell) -> None:
        self.system = system
        self.shell = shell
        subnet = system.stage.subnet
        database = system.livia.installation.database()
        gold = QosPolicies(database, system.livia.installation.clock).create("gold", max_kbps=1_000_000)
        database.engine.dispose()
        self.places: dict[str, Any] = {
            "subnet": subnet.id,
            "network": subnet.network_id,
            "cidr": subnet.cidr,
            "vip": subnet.cidr.rpartition(".")[0] + ".200",
            "gold": gold.id,
            "port-of-backends": BACKEND_PORT,
            **{name: system.stage.start_backend(name) for name in ("web-1", "web-2")},
        }

    def tell(self, step: Step) -> None:
        if step.settled:
            self.settle()
        line = self._filled(step.line)
        words = shlex.split(line)
        if not step.prints_json:
            self.shell.do(*words)
            return
        printed = self.shell.show(*words)
        if step.lists is not None:
            found = sorted(each[step.column] for each in printed)
            assert found == sorted(map(self._filled, step.lists)), f"{line}: {printed}"
        for name, value in step.shows.items():
            assert printed[name] == self._filled(value), f"{line}: {name} is {printed[name]!r}"
        self.places.update({place: printed[key] for place, key in step.keeps.items()})

    def settle(self) -> None:
        """Wait until no load balancer has anything pending."""

        def quiet() -> bool:
            found = self.system.api.get("/loadbalancers")["loadbalancers"]
            return all(each["provisioning_status"] == "ACTIVE" for each in found)

        wait_for(quiet, 30, "every load balancer is ACTIVE")

    def _filled(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._filled(each) for each in value]
        return value.format(**self.places) if isinstance(value, str) else value


def test_the_story_has_every_command() -> None:
    assert {command_of(step.line) for step in STORY} == set(COMMANDS)


def test_every_command(system: System, shell: Shell) -> None:
    telling = Telling(system, shell)
    for step in STORY:
        if step is SERVED[0]:
            _serve(system, telling.places["vip"])
        if step is AMPHORAE[0]:
            telling.places.update(_amphorae(system, shell))
        telling.tell(step)


class _Stay(HTTPRedirectHandler):
    """Follows no redirect."""

    def redirect_request(self, *_arguments: Any) -> None:
        return None


def _serve(system: System, vip: str) -> None:
    """Requests through the VIP, some of them where an L7 policy sends them."""
    opener = build_opener(_Stay)

    def answer(path: str) -> tuple[int, str]:
        """Status, and body or location."""
        try:
            with opener.open(f"http://{vip}{path}", timeout=5) as found:
                return found.status, found.read().decode()
        except HTTPError as other:
            with other:
                return other.code, other.headers["location"] or ""

    wait_for(lambda: answer("/") == (200, "web-1\n"), 30, "web-1 answers through the VIP")
    wait_for(lambda: answer("/old/page") == (301, "http://shop.example/"), 30, "the L7 policy redirects")

    def online() -> bool:
        tree = json.dumps(system.api.get("/loadbalancers?name=shop"))
        return '"ONLINE"' in tree

    wait_for(online, 30, "the load balancer is ONLINE")


def _amphorae(system: System, shell: Shell) -> dict[str, str]:
    """Ids of an amphora in use, a listener of it, and an amphora that belongs to nobody."""
    unbound = str(uuid4())
    database = system.livia.installation.database()
    with database.write() as connection:
        connection.execute(insert(t.amphora).values(id=unbound, status="ERROR", role="STANDALONE", created_at=NOW))
    database.engine.dispose()
    (listener,) = shell.show("listener", "list", "--name", "http")
    amphora = shell.show("amphora", "list", "--loadbalancer", "shop")[0]
    counted = ("amphora", "stats", "show", amphora["id"])
    wait_for(lambda: shell.run(*counted).code == 0, 30, "the amphora has been counted")
    return {"amphora": amphora["id"], "unbound": unbound, "listener": listener["id"]}
