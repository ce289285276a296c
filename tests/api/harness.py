"""An application on a real database, and what tests ask of it."""

from typing import Any

from sqlalchemy import select, update

from livia.api.app import create
from livia.api.auth import Authenticator
from livia.api.policy import Policy
from livia.core.clock import Clock, SystemClock
from livia.core.drivers import NetworkDriver, Seal, SecretStore
from livia.core.rules.capabilities import AGENT_LIMITS, Limits
from livia.drivers.network.noop import NoopNetworks
from livia.drivers.secrets.noop import NoopSecrets
from livia.drivers.secrets.seal import KeySeal
from livia.services.context import Deps
from livia.services.settings import ApiSettings, CorsSettings, HealthcheckSettings
from livia.store import tables as t
from livia.store.engine import Database
from tests.api.client import Answer, Client

SUBNET = "6f4b9a0e-2a53-4c6b-9c1f-6f2d0c2b5a11"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
_CHILDREN = (t.listener, t.pool, t.member, t.health_monitor, t.l7policy, t.l7rule)
#: keys of lists that are not the item's with an s
_LISTS = {"l7policy": "l7policies"}


def list_key(item: str) -> str:
    """What a list of such objects is called on the wire."""
    return _LISTS.get(item, f"{item}s")


class RecordingWake:
    """A Wake that remembers what it was told."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def hint(self, key: str) -> None:
        self.keys.append(key)


class Harness:
    """The application, its client, and a stand-in for the worker: `confirm`."""

    def __init__(
        self,
        database: Database,
        *,
        network: NetworkDriver | None = None,
        secrets: SecretStore | None = None,
        seal: Seal | None = None,
        authenticator: Authenticator | None = None,
        policy: Policy | None = None,
        cors: CorsSettings | None = None,
        healthcheck: HealthcheckSettings | None = None,
        clock: Clock | None = None,
        limits: Limits = AGENT_LIMITS,
        **settings: Any,
    ) -> None:
        self.database = database
        self.wake = RecordingWake()
        self.deps = Deps(
            database=database,
            network=network or NoopNetworks(),
            secrets=secrets or NoopSecrets(),
            seal=seal or KeySeal(b"s" * 32),
            wake=self.wake,
            clock=clock or SystemClock(),
            settings=ApiSettings(**settings),
            limits=limits,
        )
        self.app = create(self.deps, authenticator=authenticator, policy=policy, cors=cors, healthcheck=healthcheck)
        self.client = Client(self.app)

    def confirm(self, load_balancer_id: str) -> None:
        """What the worker does when every amphora runs the newest generation."""
        with self.database.write() as connection:
            for table in _CHILDREN:
                ours = table.c.load_balancer_id == load_balancer_id
                connection.execute(update(table).where(ours).values(provisioning_status="ACTIVE"))
            own = t.load_balancer.c.id == load_balancer_id
            connection.execute(update(t.load_balancer).where(own).values(provisioning_status="ACTIVE"))

    def set_status(self, kind: str, object_id: str, status: str) -> None:
        """Write a provisioning status."""
        table = t.metadata.tables[kind]
        with self.database.write() as connection:
            connection.execute(update(table).where(table.c.id == object_id).values(provisioning_status=status))

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything in the database."""
        with self.database.read() as connection:
            return {
                table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
                for table in t.metadata.sorted_tables
            }

    def statuses(self, load_balancer_id: str) -> dict[str, str]:
        """Kind and name (of rules: value) of every object of a load balancer to its provisioning status."""
        found = {}
        with self.database.read() as connection:
            lb = t.load_balancer
            query = select(lb.c.provisioning_status).where(lb.c.id == load_balancer_id)
            found["load_balancer"] = connection.execute(query).scalar_one()
            for table in _CHILDREN:
                rows = connection.execute(select(table).where(table.c.load_balancer_id == load_balancer_id))
                name = "name" if "name" in table.c else "value"
                found.update({f"{table.name} {getattr(row, name)}".strip(): row.provisioning_status for row in rows})
        return found

    def generation(self, kind: str, object_id: str) -> int:
        """The generation column of an object."""
        table = t.metadata.tables[kind]
        with self.database.read() as connection:
            number: int = connection.execute(select(table.c.generation).where(table.c.id == object_id)).scalar_one()
        return number

    def accepted(self, answer: Answer, status: int = 201) -> dict[str, Any]:
        """The object of an answer that must have succeeded."""
        assert answer.status == status, answer.body
        (wrapped,) = answer.json.values()
        found: dict[str, Any] = wrapped
        return found

    def refused(self, method: str, path: str, body: Any, status: int, *texts: str, query: str = "") -> str:
        """A request must be refused with texts in its fault string, and change nothing. The fault string."""
        before = self.rows()
        answer = self.client.request(method, path, body, query=query)
        assert answer.status == status, answer.body
        fault = answer.fault
        for text in texts:
            assert text in fault, fault
        assert self.rows() == before
        assert answer.headers["x-openstack-request-id"].startswith("req-")
        return fault

    def load_balancer(self, **values: Any) -> dict[str, Any]:
        """A new load balancer."""
        body = {"vip_subnet_id": SUBNET, **values}
        return self.accepted(self.client.post("/loadbalancers", {"loadbalancer": body}))

    def listener(self, load_balancer_id: str, **values: Any) -> dict[str, Any]:
        """A new listener, HTTP on port 80 unless asked otherwise."""
        body = {"loadbalancer_id": load_balancer_id, "protocol": "HTTP", "protocol_port": 80, **values}
        return self.accepted(self.client.post("/listeners", {"listener": body}))

    def pool(self, **values: Any) -> dict[str, Any]:
        """A new pool, HTTP unless asked otherwise; name its parent."""
        body = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", **values}
        return self.accepted(self.client.post("/pools", {"pool": body}))

    def member(self, pool_id: str, **values: Any) -> dict[str, Any]:
        """A new member."""
        body = {"address": "10.0.0.21", "protocol_port": 80, **values}
        return self.accepted(self.client.post(f"/pools/{pool_id}/members", {"member": body}))

    def monitor(self, pool_id: str, **values: Any) -> dict[str, Any]:
        """A new health monitor."""
        body = {"pool_id": pool_id, "type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 3, **values}
        return self.accepted(self.client.post("/healthmonitors", {"healthmonitor": body}))

    def policy(self, listener_id: str, **values: Any) -> dict[str, Any]:
        """A new L7 policy, which rejects unless asked otherwise."""
        body = {"listener_id": listener_id, "action": "REJECT", **values}
        return self.accepted(self.client.post("/l7policies", {"l7policy": body}))

    def rule(self, policy_id: str, **values: Any) -> dict[str, Any]:
        """A new L7 rule, on the path unless asked otherwise."""
        body = {"type": "PATH", "compare_type": "STARTS_WITH", "value": "/x", **values}
        return self.accepted(self.client.post(f"/l7policies/{policy_id}/rules", {"rule": body}))

    def tree(self) -> "Tree":
        """A load balancer with one of everything, ACTIVE."""
        load_balancer = self.load_balancer(name="web")
        listener = self.listener(load_balancer["id"], name="http")
        pool = self.pool(listener_id=listener["id"], name="blue")
        policy = self.policy(
            listener["id"], name="away", action="REDIRECT_TO_URL", redirect_url="http://www.example.net/away"
        )
        tree = Tree(
            load_balancer=load_balancer["id"],
            listener=listener["id"],
            pool=pool["id"],
            member=self.member(pool["id"], name="one")["id"],
            monitor=self.monitor(pool["id"], name="check")["id"],
            policy=policy["id"],
            rule=self.rule(policy["id"], value="/old")["id"],
        )
        self.confirm(tree.load_balancer)
        return tree


class Tree:
    """Ids of one of everything, and the paths and bodies to reach them by."""

    def __init__(
        self, *, load_balancer: str, listener: str, pool: str, member: str, monitor: str, policy: str, rule: str
    ) -> None:
        self.load_balancer = load_balancer
        self.listener = listener
        self.pool = pool
        self.member = member
        self.monitor = monitor
        self.policy = policy
        self.rule = rule
        self.paths = {
            "loadbalancer": f"/loadbalancers/{load_balancer}",
            "listener": f"/listeners/{listener}",
            "pool": f"/pools/{pool}",
            "member": f"/pools/{pool}/members/{member}",
            "healthmonitor": f"/healthmonitors/{monitor}",
            "l7policy": f"/l7policies/{policy}",
            "rule": f"/l7policies/{policy}/rules/{rule}",
        }
        self.collections = {item: path.rpartition("/")[0] for item, path in self.paths.items()}
        #: store's kind to id
        self.ids = {
            "load_balancer": load_balancer,
            "listener": listener,
            "pool": pool,
            "member": member,
            "health_monitor": monitor,
            "l7policy": policy,
            "l7rule": rule,
        }

    def minimal(self, item: str) -> dict[str, Any]:
        """The least that a POST of another such object needs."""
        bodies: dict[str, dict[str, Any]] = {
            "loadbalancer": {"vip_subnet_id": SUBNET},
            "listener": {"loadbalancer_id": self.load_balancer, "protocol": "HTTP", "protocol_port": 8080},
            "pool": {"loadbalancer_id": self.load_balancer, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"},
            "member": {"address": "10.0.0.22", "protocol_port": 80},
            "healthmonitor": {"pool_id": self.pool, "type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 3},
            "l7policy": {"listener_id": self.listener, "action": "REJECT"},
            "rule": {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/new"},
        }
        return bodies[item]

    def least_change(self, item: str) -> dict[str, Any]:
        """The least that a PUT needs: nothing, but for L7 policies (contract 50, section 1.3)."""
        return {"description": "d"} if item == "l7policy" else {}
