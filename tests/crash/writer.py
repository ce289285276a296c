"""Clients that write at random: each its own part of load balancers that it shares with others of its tenant."""

import random
from collections.abc import Callable
from itertools import count
from threading import Event, Thread
from typing import Any
from uuid import uuid4

from tests.crash.client import Answer, Connection, UndecidedError, pause
from tests.crash.members import DEAD_PORT, PORTS
from tests.crash.model import HEADER, Balancer, Thing, World

_MEMBER_ADDRESS = "10.84.0.1"
_POOL_OF = {"HTTP": "HTTP", "TCP": "TCP", "UDP": "UDP"}
_MOST_BALANCERS = 2
#: ports of listeners, for each writer
PORTS_EACH = 4


class Contradiction(Exception):
    """The API showed what no order of the accepted requests explains."""


class Writer:
    """One client. `number` tells its ports from those of others; `flavors`: ids to choose from."""

    def __init__(
        self,
        world: World,
        api: Connection,
        operator: Connection,
        project: str,
        number: int,
        flavors: list[str],
        subnet_id: str,
        rng: random.Random,
    ) -> None:
        self.name = f"writer-{number}"
        self._thread = Thread(target=self._run, name=self.name, daemon=True)
        self._world = world
        self._api = api
        self._operator = operator
        self._project = project
        self._flavors = flavors
        self._subnet_id = subnet_id
        self._rng = rng
        self._names = count(1)
        self._ports = range(100 * number, 100 * number + PORTS_EACH)
        self._stop = Event()
        self._number = number
        #: what went wrong, if something did
        self.error: Exception | None = None
        self._deeds: list[tuple[int, Callable[[Balancer], None]]] = [
            (6, self._create_listener),
            (5, self._update_listener),
            (2, self._delete_listener),
            (6, self._create_pool),
            (4, self._update_pool),
            (2, self._delete_pool),
            (9, self._create_member),
            (8, self._update_member),
            (3, self._delete_member),
            (4, self._batch),
            (3, self._create_monitor),
            (2, self._update_monitor),
            (1, self._delete_monitor),
            (4, self._create_policy),
            (2, self._update_policy),
            (1, self._delete_policy),
            (2, self._create_rule),
            (2, self._update_rule),
            (1, self._delete_rule),
            (4, self._refused),
        ]
        self._own_deeds: list[tuple[int, Callable[[Balancer], None]]] = [
            (3, self._update_balancer),
            (1, self._fail_over),
            (1, self._delete_balancer),
        ]

    def start(self) -> None:
        """Write from now on."""
        self._thread.start()

    def _run(self) -> None:
        try:
            while pause(self._rng, self._stop):
                self._write()
        except Exception as error:
            self.error = error

    def finish(self) -> None:
        """Begin nothing more."""
        self._stop.set()

    def join(self, seconds: float) -> None:
        """Wait for the last answer. Raises UndecidedError when it does not come in time."""
        self._thread.join(seconds)
        if self._thread.is_alive():
            raise UndecidedError(f"{self.name} waits for an answer for more than {seconds:.0f} s")

    def _write(self) -> None:
        there = self._world.of(self._project)
        # The first client of a tenant makes its load balancers.
        if self._number % 2 and (not there or (len(there) < _MOST_BALANCERS and self._rng.random() < 0.1)):
            self._create_balancer()
            return
        if not there:
            return
        balancer = self._rng.choice(there)
        deeds = self._deeds
        if balancer.owner == self.name and self._rng.random() < 0.12:
            deeds = self._own_deeds
        weights, choices = zip(*deeds, strict=True)
        self._rng.choices(choices, weights)[0](balancer)

    # -- the ways of asking --------------------------------------------------------------------------------------

    def _create(
        self, balancer: Balancer, kind: str, path: str, item: str, values: dict[str, Any], parent: str | None = None
    ) -> None:
        along = {"loadbalancer_id": balancer.id} if kind in ("listener", "pool") else {}
        key = {"healthmonitor": "pool_id", "l7policy": "listener_id"}.get(kind)
        if key is not None:
            along[key] = str(parent)
        answer = self._api.surely("POST", path, {item: {**along, **values}})
        if answer.done:
            created = answer.body[item]
            self._add(balancer, Thing(kind=kind, id=created["id"], owner=self.name, values=values, parent=parent))

    def _add(self, balancer: Balancer, thing: Thing) -> None:
        with self._world.lock:
            balancer.things[thing.id] = thing

    def _update(self, balancer: Balancer, thing: Thing, path: str, item: str, values: dict[str, Any]) -> None:
        if not self._put(path, item, thing.values, values).done:
            return
        with self._world.lock:
            thing.values.update(values)
            if thing.kind == "l7policy":
                _drop_other_target(thing.values)

    def _put(self, path: str, item: str, before: dict[str, Any], values: dict[str, Any]) -> Answer:
        if self._rng.random() < 0.5:
            return self._api.surely("PUT", path, {item: values})
        answer = self._api.ask("PUT", path, {item: values})
        if answer.definite:
            return answer
        # Not asked again: either all of it happened or nothing.
        shown = self._api.get(path)
        if shown.status == 404:
            return shown
        now = shown.body[item]
        if all(now[name] == value for name, value in values.items()):
            return Answer(200, {})
        if any(now[name] != before.get(name, now[name]) for name in values):
            raise Contradiction(f"PUT {path} {values} was answered {answer.status}, and now there is {now}")
        return Answer(409, {})

    def _delete(self, balancer: Balancer, thing: Thing, path: str) -> None:
        if self._rng.random() < 0.5:
            gone = self._api.surely("DELETE", path).done
        else:
            answer = self._api.ask("DELETE", path)
            gone = answer.done if answer.definite else self._is_gone(path)
        if gone:
            with self._world.lock:
                balancer.remove(thing.id)

    def _is_gone(self, path: str) -> bool:
        shown = self._api.get(path)
        if shown.status == 404:
            return True
        (found,) = shown.body.values()
        return bool(found["provisioning_status"] == "PENDING_DELETE")

    # -- load balancers ------------------------------------------------------------------------------------------

    def _create_balancer(self) -> None:
        name = self._name("lb")
        values: dict[str, Any] = {"name": name, "admin_state_up": True}
        body = {**values, "vip_subnet_id": self._subnet_id, "flavor_id": self._rng.choice(self._flavors)}
        tree = self._tree() if self._rng.random() < 0.5 else []
        if tree:
            body["listeners"] = tree
        answer = self._api.surely("POST", "/loadbalancers", {"loadbalancer": body})
        if not answer.done:
            return
        created = answer.body["loadbalancer"]
        balancer = Balancer(
            id=created["id"], vip=created["vip_address"], project=self._project, owner=self.name, values=values
        )
        for wanted, listener in zip(tree, created["listeners"], strict=False):
            self._adopt(balancer, wanted, listener)
        with self._world.lock:
            self._world.balancers[balancer.id] = balancer

    def _tree(self) -> list[dict[str, Any]]:
        members = [self._member(port) for port in self._rng.sample(PORTS, 2)]
        pool = {"name": self._name("pool"), "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": members}
        return [{"name": self._name("l"), "protocol": "HTTP", "protocol_port": self._ports[0], "default_pool": pool}]

    def _adopt(self, balancer: Balancer, wanted: dict[str, Any], created: dict[str, Any]) -> None:
        """What a single call made: the answer has the ids, in the form of the request."""
        pool = wanted["default_pool"]
        pool_id = (created.get("default_pool") or {}).get("id") or created["default_pool_id"]
        values = {name: wanted[name] for name in ("name", "protocol", "protocol_port")}
        values["default_pool_id"] = pool_id
        self._add(balancer, Thing(kind="listener", id=created["id"], owner=self.name, values=values))
        values = {name: pool[name] for name in ("name", "protocol", "lb_algorithm")}
        self._add(balancer, Thing(kind="pool", id=pool_id, owner=self.name, values=values))
        self._adopt_members(balancer, pool_id, pool["members"])

    def _update_balancer(self, balancer: Balancer) -> None:
        values: dict[str, Any] = self._rng.choice(
            [{"name": self._name("lb")}, {"admin_state_up": self._rng.random() < 0.8}]
        )
        if self._put(f"/loadbalancers/{balancer.id}", "loadbalancer", balancer.values, values).done:
            balancer.values.update(values)

    def _fail_over(self, balancer: Balancer) -> None:
        amphorae = self._operator.all(f"/octavia/amphorae?loadbalancer_id={balancer.id}", "amphorae")
        paths = [f"/loadbalancers/{balancer.id}/failover"]
        paths += [f"/octavia/amphorae/{each['id']}/failover" for each in amphorae]
        self._operator.surely("PUT", self._rng.choice(paths))

    def _delete_balancer(self, balancer: Balancer) -> None:
        if self._rng.random() < 0.5:
            return
        balancer.leaving = True
        answer = self._api.surely("DELETE", f"/loadbalancers/{balancer.id}?cascade=true")
        if not answer.done:
            raise Contradiction(f"deleting {balancer.id} was refused: {answer}")
        with self._world.lock:
            del self._world.balancers[balancer.id]

    # -- listeners -----------------------------------------------------------------------------------------------

    def _create_listener(self, balancer: Balancer) -> None:
        used = {(thing.values["protocol"] == "UDP", thing.values["protocol_port"]) for thing in balancer.of("listener")}
        protocol = self._rng.choice(("HTTP", "HTTP", "TCP", "UDP"))
        free = [port for port in self._ports if (protocol == "UDP", port) not in used]
        if not free:
            return
        values = {
            "name": self._name("l"),
            "protocol": protocol,
            "protocol_port": free[0],
            "default_pool_id": self._some_pool(balancer, protocol),
        }
        self._create(balancer, "listener", "/listeners", "listener", values)

    def _some_pool(self, balancer: Balancer, protocol: str) -> str | None:
        own = balancer.of("pool", owner=self.name)
        fitting = [pool.id for pool in own if pool.values["protocol"] == _POOL_OF[protocol]]
        return self._rng.choice([*fitting, *fitting, None])

    def _update_listener(self, balancer: Balancer) -> None:
        listener = self._one(balancer, "listener")
        if listener is not None:
            values: dict[str, Any] = self._rng.choice(
                [
                    {"name": self._name("l")},
                    {"admin_state_up": self._rng.random() < 0.7},
                    {"connection_limit": self._rng.randint(100, 2000)},
                    {"timeout_client_data": self._rng.randint(20_000, 60_000)},
                    {"default_pool_id": self._some_pool(balancer, listener.values["protocol"])},
                ]
            )
            self._update(balancer, listener, f"/listeners/{listener.id}", "listener", values)

    def _delete_listener(self, balancer: Balancer) -> None:
        listener = self._one(balancer, "listener")
        if listener is not None:
            self._delete(balancer, listener, f"/listeners/{listener.id}")

    # -- pools, members, monitors --------------------------------------------------------------------------------

    def _create_pool(self, balancer: Balancer) -> None:
        if len(balancer.of("pool", owner=self.name)) < 3:
            protocol = self._rng.choice(("HTTP", "HTTP", "TCP", "UDP"))
            values = {"name": self._name("pool"), "protocol": protocol, "lb_algorithm": "ROUND_ROBIN"}
            self._create(balancer, "pool", "/pools", "pool", values)

    def _update_pool(self, balancer: Balancer) -> None:
        pool = self._one(balancer, "pool")
        if pool is not None:
            algorithms = ("ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP", "ROUND_ROBIN")
            values: dict[str, Any] = self._rng.choice(
                [
                    {"name": self._name("pool")},
                    {"lb_algorithm": self._rng.choice(algorithms)},
                    {"admin_state_up": self._rng.random() < 0.7},
                ]
            )
            self._update(balancer, pool, f"/pools/{pool.id}", "pool", values)

    def _delete_pool(self, balancer: Balancer) -> None:
        pool = self._one(balancer, "pool")
        if pool is not None:
            self._delete(balancer, pool, f"/pools/{pool.id}")

    def _member(self, port: int) -> dict[str, Any]:
        return {
            "name": self._name("m"),
            "address": _MEMBER_ADDRESS,
            "protocol_port": port,
            "weight": self._rng.choice((1, 1, 1, 2, 3, 0)),
            "backup": self._rng.random() < 0.15,
            "admin_state_up": self._rng.random() < 0.85,
        }

    def _new_port(self, pool: Thing) -> int:
        dead = pool.values["protocol"] != "UDP" and self._rng.random() < 0.1
        return DEAD_PORT if dead else self._rng.choice(PORTS)

    def _create_member(self, balancer: Balancer) -> None:
        pool = self._one(balancer, "pool")
        if pool is not None and len(balancer.of("member", parent=pool.id)) < 4:
            values = self._member(self._new_port(pool))
            if values["protocol_port"] not in self._ports_of(balancer, pool):
                self._create(balancer, "member", f"/pools/{pool.id}/members", "member", values, pool.id)

    def _ports_of(self, balancer: Balancer, pool: Thing) -> set[int]:
        return {member.values["protocol_port"] for member in balancer.of("member", parent=pool.id)}

    def _update_member(self, balancer: Balancer) -> None:
        member = self._one(balancer, "member")
        if member is not None:
            drawn = self._member(0)
            name = self._rng.choice(("name", "weight", "weight", "backup", "admin_state_up"))
            path = f"/pools/{member.parent}/members/{member.id}"
            self._update(balancer, member, path, "member", {name: drawn[name]})

    def _delete_member(self, balancer: Balancer) -> None:
        member = self._one(balancer, "member")
        if member is not None:
            self._delete(balancer, member, f"/pools/{member.parent}/members/{member.id}")

    def _batch(self, balancer: Balancer) -> None:
        pool = self._one(balancer, "pool")
        if pool is None:
            return
        wanted = [self._member(port) for port in self._rng.sample(PORTS, self._rng.randint(1, 4))]
        additive = self._rng.random() < 0.3
        path = f"/pools/{pool.id}/members"
        answer = self._api.surely("PUT", f"{path}?additive_only={str(additive).lower()}", {"members": wanted})
        if not answer.done:
            return
        given = {each["protocol_port"] for each in wanted}
        with self._world.lock:
            for member in balancer.of("member", parent=pool.id):
                if not additive or member.values["protocol_port"] in given:
                    balancer.remove(member.id)
        self._adopt_members(balancer, pool.id, wanted)

    def _adopt_members(self, balancer: Balancer, pool_id: str, wanted: list[dict[str, Any]]) -> None:
        """Find out the ids of members that were accepted without telling them."""
        shown = self._api.get(f"/pools/{pool_id}/members")
        if shown.status == 404:
            return
        ids = {
            each["protocol_port"]: each["id"]
            for each in shown.body["members"]
            if each["provisioning_status"] != "PENDING_DELETE"
        }
        for values in wanted:
            if values["protocol_port"] not in ids:
                if balancer.leaving:
                    return
                raise Contradiction(f"member {values} of pool {pool_id} was accepted, and is not there: {shown}")
            key = ids[values["protocol_port"]]
            self._add(balancer, Thing(kind="member", id=key, owner=self.name, values=values, parent=pool_id))

    def _create_monitor(self, balancer: Balancer) -> None:
        pool = self._one(balancer, "pool")
        if pool is not None and not balancer.of("healthmonitor", parent=pool.id):
            kind = {"HTTP": "HTTP", "TCP": "TCP", "UDP": "UDP-CONNECT"}[pool.values["protocol"]]
            values = {
                "name": self._name("hm"),
                "type": kind,
                "delay": 3 if kind == "UDP-CONNECT" else 1,
                "timeout": 1,
                "max_retries": 1,
                "max_retries_down": 2,
            }
            self._create(balancer, "healthmonitor", "/healthmonitors", "healthmonitor", values, pool.id)

    def _update_monitor(self, balancer: Balancer) -> None:
        monitor = self._one(balancer, "healthmonitor")
        if monitor is not None:
            values: dict[str, Any] = self._rng.choice(
                [
                    {"name": self._name("hm")},
                    {"max_retries": self._rng.randint(1, 3)},
                    {"admin_state_up": self._rng.random() < 0.8},
                ]
            )
            self._update(balancer, monitor, f"/healthmonitors/{monitor.id}", "healthmonitor", values)

    def _delete_monitor(self, balancer: Balancer) -> None:
        monitor = self._one(balancer, "healthmonitor")
        if monitor is not None:
            self._delete(balancer, monitor, f"/healthmonitors/{monitor.id}")

    # -- L7 ------------------------------------------------------------------------------------------------------

    def _create_policy(self, balancer: Balancer) -> None:
        listener = self._one(balancer, "listener")
        if listener is None or listener.values["protocol"] != "HTTP":
            return
        if len(balancer.of("l7policy", parent=listener.id)) >= 2:
            return
        values = {"name": self._name("p"), **self._target(balancer)}
        self._create(balancer, "l7policy", "/l7policies", "l7policy", values, listener.id)

    def _target(self, balancer: Balancer) -> dict[str, Any]:
        pool = self._some_pool(balancer, "HTTP")
        url = {"action": "REDIRECT_TO_URL", "redirect_url": f"http://www.example.net/{next(self._names)}"}
        choices: list[dict[str, Any]] = [{"action": "REJECT"}, url]
        if pool is not None:
            choices.append({"action": "REDIRECT_TO_POOL", "redirect_pool_id": pool})
        return self._rng.choice(choices)

    def _update_policy(self, balancer: Balancer) -> None:
        policy = self._one(balancer, "l7policy")
        if policy is not None:
            values: dict[str, Any] = self._rng.choice(
                [self._target(balancer), {"admin_state_up": self._rng.random() < 0.7}]
            )
            self._update(balancer, policy, f"/l7policies/{policy.id}", "l7policy", values)

    def _delete_policy(self, balancer: Balancer) -> None:
        policy = self._one(balancer, "l7policy")
        if policy is not None:
            self._delete(balancer, policy, f"/l7policies/{policy.id}")

    def _create_rule(self, balancer: Balancer) -> None:
        policy = self._one(balancer, "l7policy")
        if policy is None:
            return
        rules = balancer.of("rule", parent=policy.id)
        kinds = {rule.values["type"] for rule in rules}
        if "PATH" not in kinds:
            # Only one policy at a time can want a path: their order is no question.
            values = {"type": "PATH", "compare_type": "STARTS_WITH", "value": f"/{policy.id}/"}
        elif "HEADER" not in kinds:
            values = {"type": "HEADER", "compare_type": "EQUAL_TO", "key": HEADER, "value": "yes"}
        else:
            return
        self._create(balancer, "rule", f"/l7policies/{policy.id}/rules", "rule", values, policy.id)

    def _update_rule(self, balancer: Balancer) -> None:
        rule = self._one(balancer, "rule")
        if rule is not None:
            choices: list[dict[str, Any]] = [{"admin_state_up": self._rng.random() < 0.7}]
            if rule.values["type"] == "HEADER" and self._has_path(balancer, rule):
                choices.append({"invert": self._rng.random() < 0.5})
            values = self._rng.choice(choices)
            if rule.values["type"] == "PATH" and not values.get("admin_state_up", True):
                # A header's rule alone would take every request, also those of other policies.
                return
            self._update(balancer, rule, f"/l7policies/{rule.parent}/rules/{rule.id}", "rule", values)

    def _has_path(self, balancer: Balancer, rule: Thing) -> bool:
        return any(each.values["type"] == "PATH" for each in balancer.of("rule", parent=rule.parent))

    def _delete_rule(self, balancer: Balancer) -> None:
        rule = self._one(balancer, "rule")
        if rule is not None and rule.values["type"] == "HEADER":
            self._delete(balancer, rule, f"/l7policies/{rule.parent}/rules/{rule.id}")

    # -- what must be refused ------------------------------------------------------------------------------------

    def _refused(self, balancer: Balancer) -> None:
        pool, listener = self._one(balancer, "pool"), self._one(balancer, "listener")
        lb = {"loadbalancer_id": balancer.id}
        nobody = str(uuid4())
        tries: list[tuple[str, str, dict[str, Any] | None]] = [
            ("POST", "/listeners", {"listener": {**lb, "protocol": "NOPE", "protocol_port": 99}}),
            ("POST", "/listeners", {"listener": {"loadbalancer_id": nobody, "protocol": "HTTP", "protocol_port": 99}}),
            ("POST", "/pools", {"pool": {**lb, "protocol": "HTTP", "lb_algorithm": "NOPE"}}),
            ("DELETE", f"/pools/{nobody}", None),
            ("PUT", f"/listeners/{nobody}", {"listener": {"name": "refused"}}),
        ]
        if listener is not None:
            same = {"protocol": listener.values["protocol"], "protocol_port": listener.values["protocol_port"]}
            tries.append(("POST", "/listeners", {"listener": {**lb, **same, "name": "refused"}}))
            wrong = {"name": "refused", "default_pool_id": nobody}
            tries.append(("PUT", f"/listeners/{listener.id}", {"listener": wrong}))
        if pool is not None:
            heavy = {"name": "refused", "address": _MEMBER_ADDRESS, "protocol_port": 9, "weight": 999}
            tries.append(("POST", f"/pools/{pool.id}/members", {"member": heavy}))
            good = self._member(9)
            tries.append(("PUT", f"/pools/{pool.id}/members", {"members": [good, heavy]}))
        method, path, body = self._rng.choice(tries)
        answer = self._api.surely(method, path, body)
        if answer.done and not (method == "DELETE" and answer.status == 204):
            raise Contradiction(f"{method} {path} {body} was accepted: {answer}")

    # -- choices -------------------------------------------------------------------------------------------------

    def _one(self, balancer: Balancer, kind: str) -> Thing | None:
        own = balancer.of(kind, owner=self.name)
        return self._rng.choice(own) if own else None

    def _name(self, prefix: str) -> str:
        return f"{prefix}-{self._number}-{next(self._names)}"


def _drop_other_target(values: dict[str, Any]) -> None:
    """A policy has the target of its action only (contract 50)."""
    if values["action"] != "REDIRECT_TO_POOL":
        values.pop("redirect_pool_id", None)
    if values["action"] != "REDIRECT_TO_URL":
        values.pop("redirect_url", None)
