"""One canary: through the public API, as a tenant would, and through the VIP, as a client would."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from livia.core.clock import Clock
from livia.ops.canary.ground import WORD, Ground
from livia.ops.demo.api import Api, ApiError

NAME = "livia-canary"
PHASES = ("clean", "create", "use", "failover", "delete")
#: seconds for each of them
_LIMIT = 120.0
#: seconds from ACTIVE until the VIP must have answered
_ANSWER = 5.0
_POLL = 0.05


class PhaseError(Exception):
    """What a canary died of. `phase`: one of `PHASES`."""

    def __init__(self, phase: str, reason: str) -> None:
        super().__init__(reason)
        self.phase = phase
        self.reason = reason


class Flight:
    """`told` is called at the end of each phase: its name, seconds, and what was done or why it was left out."""

    def __init__(
        self, api: Api, ground: Ground, project_id: str, clock: Clock, told: Callable[[str, float, str], None]
    ) -> None:
        self._api = api
        self._ground = ground
        self._project_id = project_id
        self._clock = clock
        self._told = told

    def fly(self) -> None:
        """All phases. Raises PhaseError, after having tried to delete what was made."""
        with self._phase("clean") as said:
            said.append(self.clean())
        try:
            with self._phase("create") as said:
                made = self._create()
                said.append(f"load balancer {made['id']} is ACTIVE at {made['vip_address']}")
            with self._phase("use") as said:
                said.append(self._use(made))
            with self._phase("failover") as said:
                said.append(self._fail_over(made))
        except PhaseError:
            self._clean_up_quietly()
            raise
        with self._phase("delete") as said:
            self._delete(made["id"])
            said.append("it is gone")

    def clean(self) -> str:
        """Delete what canaries left that were killed. How many they were."""
        query = f"name={NAME}&project_id={self._project_id}&fields=id"
        left = self._api.get(f"/loadbalancers?{query}")["loadbalancers"]
        for each in left:
            self._delete(each["id"])
        return f"removed {len(left)} that earlier ones left" if left else "earlier ones left nothing"

    def _clean_up_quietly(self) -> None:
        try:
            self.clean()
        except ApiError:
            # What it died of is worth telling; the next one cleans up first.
            return

    @contextmanager
    def _phase(self, name: str) -> Iterator[list[str]]:
        began = self._clock.monotonic()
        said: list[str] = []
        try:
            yield said
        except (ApiError, HTTPError) as error:
            raise PhaseError(name, str(error)) from error
        except _SilentError as error:
            raise PhaseError(name, error.reason) from error
        self._told(name, self._clock.monotonic() - began, " ".join(said))

    def _create(self) -> dict[str, Any]:
        pool: dict[str, Any] = {"name": NAME, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
        if self._ground.member is not None:
            address, port = self._ground.member
            pool["members"] = [{"address": address, "protocol_port": port}]
        listener = {"name": NAME, "protocol": "HTTP", "protocol_port": 80, "default_pool": pool}
        wanted = {
            "name": NAME,
            "description": "Made by livia canary, which deletes it.",
            "vip_network_id": self._ground.network_id,
            "listeners": [listener],
        }
        made: dict[str, Any] = self._api.post("/loadbalancers", {"loadbalancer": wanted})["loadbalancer"]
        if made["project_id"] != self._project_id:
            self._delete(made["id"])
            raise ApiError(
                f"The API put the canary into the project {made['project_id']}: [livia] canary_project must be that."
            )
        return self._api.wait_active(made["id"], seconds=_LIMIT)

    def _use(self, made: dict[str, Any]) -> str:
        if self._ground.member is None:
            return "left out: this machine is not on the VIP's network"
        deadline = self._clock.monotonic() + _ANSWER
        url = f"http://{made['vip_address']}/"
        while True:
            try:
                answer = urllib3.request("GET", url, timeout=1.0, retries=False)
                heard = f"{answer.status} {answer.data[:80]!r}"
                if answer.data == WORD.encode():
                    return "the VIP answers"
            except HTTPError as error:
                heard = str(error)
            if self._clock.monotonic() > deadline:
                raise _SilentError(f"{url} did not answer within {_ANSWER:.0f} s of being ACTIVE: {heard}")
            time.sleep(_POLL)

    def _fail_over(self, made: dict[str, Any]) -> str:
        before = self._amphorae(made["id"])
        self._api.put(f"/loadbalancers/{made['id']}/failover", {})
        self._api.wait_active(made["id"], seconds=_LIMIT)
        kept = before & self._amphorae(made["id"])
        if kept:
            raise ApiError(f"After the failover amphora {', '.join(sorted(kept))} is still there.")
        return f"{len(before)} amphorae were replaced, {self._use(made)}"

    def _amphorae(self, load_balancer_id: str) -> set[str]:
        found = self._api.get(f"/amphorae?loadbalancer_id={load_balancer_id}", branch="octavia")["amphorae"]
        return {each["id"] for each in found}

    def _delete(self, load_balancer_id: str) -> None:
        self._api.delete(f"/loadbalancers/{load_balancer_id}?cascade=true")
        self._api.wait_gone(load_balancer_id, seconds=_LIMIT)


class _SilentError(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
