"""Load balancers of a tenant, made and removed by one client of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.crash import kinds, switching
from tests.crash.choices import Choices
from tests.crash.client import Connection
from tests.crash.members import PORTS
from tests.crash.model import Balancer, World
from tests.crash.requests import Contradiction, Requests


class Balancers:
    """What the client `owner` does to whole load balancers. `flavors`: ids to choose from; failovers are asked for by
    the `operator`; `subnet_ids`: where each has an address, and where it may have another."""

    def __init__(
        self,
        world: World,
        api: Connection,
        operator: Connection,
        requests: Requests,
        choices: Choices,
        *,
        owner: str,
        project: str,
        flavors: Sequence[str],
        subnet_ids: Sequence[str],
    ) -> None:
        self._world = world
        self._api = api
        self._operator = operator
        self._requests = requests
        self._choices = choices
        self._rng = choices.rng
        self._owner = owner
        self._project = project
        self._flavors = flavors
        self._subnet_ids = subnet_ids

    def create(self) -> None:
        """Make one, empty or with listeners and all that they have in a single call."""
        values: dict[str, Any] = {"name": self._choices.name("lb"), "admin_state_up": True}
        first, other = self._subnet_ids
        body = {**values, "vip_subnet_id": first, "flavor_id": self._rng.choice(self._flavors)}
        if self._rng.random() < 0.4:
            body["additional_vips"] = [{"subnet_id": other}]
        tree = [self._listener(port) for port in self._choices.ports[: self._rng.choice((0, 1, 2, 2, 3))]]
        if tree:
            body["listeners"] = tree
        answer = self._api.surely("POST", "/loadbalancers", {"loadbalancer": body})
        if not answer.done:
            return
        created = answer.body["loadbalancer"]
        balancer = Balancer(
            id=created["id"],
            vip=created["vip_address"],
            more=[each["ip_address"] for each in created["additional_vips"]],
            project=self._project,
            owner=self._owner,
            values={**values, "additional_vips": created["additional_vips"]},
            distrusting=self._choices.distrusting,
        )
        monitors = {each["id"]: each["healthmonitor"] for each in created["pools"]} if tree else {}
        for wanted, listener in zip(tree, created["listeners"], strict=False):
            self._adopt(balancer, wanted, listener, monitors)
        with self._world.lock:
            self._world.balancers[balancer.id] = balancer

    def _listener(self, port: int) -> dict[str, Any]:
        """A listener with all that it has, for a single call."""
        choices = self._choices
        pool: dict[str, Any] = {"name": choices.name("pool"), "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
        members = [choices.member(port) for port in self._rng.sample(PORTS, self._rng.randint(2, 3))]
        pool |= {"members": members, "session_persistence": kinds.persistence(choices, "HTTP")}
        if self._rng.random() < 0.3:
            pool |= choices.encryption()
        if self._rng.random() < 0.5:
            pool["healthmonitor"] = kinds.monitor(choices, "HTTP")
        listener = {"name": choices.name("l"), "protocol": "HTTP", "protocol_port": port}
        if self._rng.random() < 0.4:
            listener |= {"protocol": "TERMINATED_HTTPS", **choices.termination()}
        return {**listener, "default_pool": pool, "l7policies": switching.nested(choices)}

    def _adopt(
        self,
        balancer: Balancer,
        wanted: dict[str, Any],
        created: dict[str, Any],
        monitors: Mapping[str, dict[str, Any] | None],
    ) -> None:
        """What a single call made: the answer has the ids, in the form of the request. `monitors`: of pools, as they
        were answered."""
        pool = wanted["default_pool"]
        pool_id = (created.get("default_pool") or {}).get("id") or created["default_pool_id"]
        values = {name: value for name, value in wanted.items() if name not in ("default_pool", "l7policies")}
        self._requests.add(balancer, "listener", created["id"], {**values, "default_pool_id": pool_id})
        values = {name: value for name, value in pool.items() if name not in ("members", "healthmonitor")}
        self._requests.add(balancer, "pool", pool_id, values)
        monitor = monitors[pool_id]
        if monitor is not None:
            self._requests.add(balancer, "healthmonitor", monitor["id"], pool["healthmonitor"], pool_id)
        self._requests.add_members(balancer, pool_id, pool["members"])
        ids = {policy["name"]: policy for policy in created["l7policies"]}
        for policy in wanted["l7policies"]:
            made = ids[policy["name"]]
            values = {name: value for name, value in policy.items() if name != "rules"}
            self._requests.add(balancer, "l7policy", made["id"], values, created["id"])
            for rule, shown in zip(policy["rules"], made["rules"], strict=True):
                self._requests.add(balancer, "rule", shown["id"], rule, made["id"])

    def update(self, balancer: Balancer) -> None:
        """Rename it, or switch it."""
        changes: list[dict[str, Any]] = [
            self._choices.labels("lb"),
            {"admin_state_up": self._rng.random() < 0.8},
        ]
        values = self._rng.choice(changes)
        if self._requests.put(f"/loadbalancers/{balancer.id}", "loadbalancer", balancer.values, values).done:
            balancer.values.update(values)

    def fail_over(self, balancer: Balancer) -> None:
        """All of it, or one of its amphorae."""
        amphorae = self._operator.all(f"/octavia/amphorae?loadbalancer_id={balancer.id}", "amphorae")
        paths = [f"/loadbalancers/{balancer.id}/failover"]
        paths += [f"/octavia/amphorae/{each['id']}/failover" for each in amphorae]
        self._operator.surely("PUT", self._rng.choice(paths))

    def delete(self, balancer: Balancer) -> None:
        """Half the times: remove it with all that it has. Raises Contradiction."""
        if self._rng.random() < 0.5:
            return
        balancer.leaving = True
        answer = self._api.surely("DELETE", f"/loadbalancers/{balancer.id}?cascade=true")
        if not answer.done:
            raise Contradiction(f"deleting {balancer.id} was refused: {answer}")
        with self._world.lock:
            del self._world.balancers[balancer.id]
