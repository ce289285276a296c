"""`livia demo`: a load balancer comes up, serves, loses its master, gains and drains a member; a client watches."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from livia.core.plan.load_balancer import lasting
from livia.ops.demo import faults
from livia.ops.demo.api import Api, ApiError
from livia.ops.demo.load import Load
from livia.ops.demo.stage import BACKEND_PORT, NETWORK, Stage
from livia.ops.network import NetworkError
from livia.ops.services import Installation
from livia.store import trees

NAME = "demo"
_PORT = 80
#: seconds that a client which looks for the end of a silence waits for one answer
_PATIENCE = 0.05


class Timeline:
    """Prints what happens and when: milliseconds since the start, then the sentence."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._start = time.monotonic()

    def tell(self, sentence: str, *, good: bool | None = None) -> None:
        """One line. `good` colours it."""
        style = {None: "default", True: "green", False: "red"}[good]
        elapsed = (time.monotonic() - self._start) * 1000
        self._console.print(f"[cyan]{elapsed:8.0f} ms[/cyan]  [{style}]{escape(sentence)}[/{style}]", soft_wrap=True)


def play(installation: Installation, hold: Callable[[], None] | None = None) -> int:
    """Play the whole demo; 0 when all that was promised was seen. `hold` is called before all is removed again."""
    console = Console()
    settings = installation.settings.server
    timeline = Timeline(console)
    try:
        stage = Stage(installation)
    except NetworkError as error:
        console.print(f"[red]{escape(str(error))}[/red]")
        return 1
    demo = Demo(installation, Api(settings.bind_host, settings.bind_port), stage, timeline)
    try:
        good = demo.play()
        if hold is not None:
            _tell_how_to_go_on(console, installation, demo.vip)
            hold()
        demo.remove()
    except (ApiError, OSError) as error:
        timeline.tell(f"The demo broke off: {error} ('livia status' shows what there is.)", good=False)
        return 1
    finally:
        stage.close()
    return 0 if good else 1


class Demo:
    """The acts. Each returns whether clients saw what they should."""

    def __init__(self, installation: Installation, api: Api, stage: Stage, timeline: Timeline) -> None:
        self._installation = installation
        self._api = api
        self._stage = stage
        self._tell = timeline.tell
        self.load_balancer: dict[str, Any] = {}

    def play(self) -> bool:
        """All acts in turn."""
        self._remove_leftover()
        return self._create() and self._kill_master() and self._change_members()

    def remove(self) -> None:
        """Delete the load balancer with all that belongs to it."""
        key = self.load_balancer["id"]
        self._api.delete(f"/loadbalancers/{key}?cascade=true")
        self._api.wait_gone(key)
        self._tell("The load balancer is deleted; nothing of it is left.", good=True)

    def _remove_leftover(self) -> None:
        """What an earlier demo kept makes room."""
        for found in self._api.get(f"/loadbalancers?name={NAME}")["loadbalancers"]:
            self._tell("Removing the load balancer of an earlier demo.")
            self._api.delete(f"/loadbalancers/{found['id']}?cascade=true")
            self._api.wait_gone(found["id"])

    def _create(self) -> bool:
        self._tell(f"Network {NETWORK} is {self._stage.subnet.cidr}; this machine is {self._stage.subnet.gateway}.")
        for name in ("web-1", "web-2"):
            self._tell(f"Backend {name} listens on {self._stage.start_backend(name)}, in a namespace of its own.")
        started = time.monotonic()
        answer = self._api.post("/loadbalancers", {"loadbalancer": self._wanted()})
        self.load_balancer = answer["loadbalancer"]
        self._tell(f"POST /v2/lbaas/loadbalancers: 201, VIP {self.vip}.")
        with self._load(fresh=True, clients=1) as load:
            first = load.first_answer_after(started, timeout=30.0)
        if first is None:
            # Raises with the reason, when there is one.
            self._api.wait_active(self.load_balancer["id"], seconds=0.1)
            self._tell("The VIP did not answer within 30 s.", good=False)
            return False
        self._tell(f"First 200 through the VIP, {(first - started) * 1000:.0f} ms after the POST.", good=True)
        self._api.wait_active(self.load_balancer["id"])
        self._tell("The load balancer is ACTIVE: both amphorae confirmed it.", good=True)
        with self._load(fresh=False, clients=4) as load:
            time.sleep(0.5)
        shares = ", ".join(f"{who} {count}" for who, count in sorted(load.who().items()))
        self._tell(f"{load.total()} requests, {load.failed()} failed; answered by {shares}.", good=not load.failed())
        return not load.failed() and len(load.who()) == len(self._members())

    def _kill_master(self) -> bool:
        """Take away the namespace of the amphora with the VIP, and every process in it."""
        with self._load(fresh=True, clients=2, pause=0.005) as load:
            time.sleep(0.3)
            master = self._vip_holder()
            if master is None:
                self._tell("No amphora holds the VIP.", good=False)
                return False
            killed = time.monotonic()
            faults.destroy(self._installation.agent_config(), master)
            self._tell(f"Killed the master, amphora {master}: its namespace and processes are gone.")
            silent = load.silence_after(killed)
        if silent is None:
            self._tell("The VIP does not answer any more.", good=False)
            return False
        self._tell(f"The VIP was silent for {silent * 1000:.0f} ms; the backup is master now.", good=True)
        return self._wait_replaced(master)

    def _wait_replaced(self, dead: str) -> bool:
        started = time.monotonic()
        while time.monotonic() - started < 60.0:
            amphorae = self._amphorae()
            if dead not in amphorae and len(amphorae) == 2:
                self._api.wait_active(self.load_balancer["id"])
                took = time.monotonic() - started
                self._tell(f"A replacement amphora serves, {took:.1f} s after the death.", good=True)
                return True
            time.sleep(0.05)
        self._tell("The dead amphora was not replaced within 60 s.", good=False)
        return False

    def _change_members(self) -> bool:
        address = self._stage.start_backend("web-3")
        path = f"/pools/{self.load_balancer['pools'][0]['id']}/members"
        with self._load(fresh=False, clients=4) as load:
            time.sleep(0.3)
            added = time.monotonic()
            member = self._api.post(
                path, {"member": {"address": address, "protocol_port": BACKEND_PORT, "name": "web-3"}}
            )
            first = load.first_answer_after(added, who="web-3")
            if first is not None:
                self._tell(
                    f"Added web-3 under load; it answered {(first - added) * 1000:.0f} ms after the POST.", good=True
                )
            self._api.wait_active(self.load_balancer["id"])
            time.sleep(0.5)
            drained = time.monotonic()
            self._api.put(f"{path}/{member['member']['id']}", {"member": {"weight": 0}})
            self._api.wait_active(self.load_balancer["id"])
            time.sleep(0.5)
            last = load.last_answer_by("web-3") or drained
            self._tell(f"Drained web-3; its last request came {max(0.0, last - drained) * 1000:.0f} ms after the PUT.")
            self._api.delete(f"{path}/{member['member']['id']}")
            self._api.wait_active(self.load_balancer["id"])
            time.sleep(0.3)
        good = load.failed() == 0 and first is not None
        self._tell(f"{load.failed()} of {load.total()} requests failed while it came and went.", good=good)
        return good

    @property
    def vip(self) -> str:
        """The address of the load balancer."""
        return str(self.load_balancer["vip_address"])

    def _load(self, *, fresh: bool, clients: int, pause: float = 0.002) -> Load:
        return Load(self.vip, _PORT, clients=clients, pause=pause, fresh=fresh, timeout=_PATIENCE if fresh else 2.0)

    def _members(self) -> list[dict[str, Any]]:
        return [
            {"name": name, "address": address, "protocol_port": BACKEND_PORT}
            for name, address in sorted(self._stage.addresses.items())
        ]

    def _wanted(self) -> dict[str, Any]:
        """A listener, a pool, two members and a monitor, in one request."""
        pool = {
            "name": "web",
            "protocol": "HTTP",
            "lb_algorithm": "ROUND_ROBIN",
            "healthmonitor": {"type": "HTTP", "delay": 1, "timeout": 1, "max_retries": 2, "url_path": "/"},
            "members": self._members(),
        }
        listener = {"name": "http", "protocol": "HTTP", "protocol_port": _PORT, "default_pool": pool}
        return {"name": NAME, "vip_subnet_id": self._stage.subnet.id, "listeners": [listener]}

    def _amphorae(self) -> list[str]:
        """Ids of the amphorae that stay, the one with the VIP first."""
        with self._installation.database().read() as connection:
            tree = trees.load(connection, self.load_balancer["id"])
        amphorae = () if tree is None else lasting(tree).amphorae
        return [each.id for each in sorted(amphorae, key=lambda each: not each.holds_vip)]

    def _vip_holder(self) -> str | None:
        agents = self._installation.agents()
        hosts = self._installation.hosts(self._installation.database())
        with self._installation.database().read() as connection:
            tree = trees.load(connection, self.load_balancer["id"])
        for amphora in () if tree is None else tree.amphorae:
            placement = hosts.find(amphora)
            observed = None if placement is None else agents.observe(placement, amphora.id)
            if observed is not None and observed.holds_vip:
                return amphora.id
        return None


def _tell_how_to_go_on(console: Console, installation: Installation, vip: str) -> None:
    api = installation.settings.server
    endpoint = f"http://{api.bind_host}:{api.bind_port}"
    environment = [f"export OS_AUTH_TYPE=none OS_ENDPOINT={endpoint}"]
    if sys.prefix != sys.base_prefix:
        environment.insert(0, f". {Path(sys.prefix) / 'bin' / 'activate'}")
    console.print(f"\nThe API listens on [bold]{endpoint}[/bold]. For the openstack client:\n")
    for each in environment:
        console.print(f"  {each}", highlight=False, soft_wrap=True)
    console.print("\nTry next:\n")
    for command in (
        f"curl http://{vip}/",
        f"openstack loadbalancer status show {NAME}",
        f"openstack loadbalancer stats show {NAME}",
        f"openstack loadbalancer create --name mine --vip-subnet-id {NETWORK} --wait",
        "livia status",
    ):
        console.print(f"  {command}", highlight=False, soft_wrap=True)
    console.print("")
