"""One load balancer's surroundings: the no-op drivers, and the local network driver, whose ports are rows."""

from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from livia.core.clock import SystemClock
from livia.core.drivers import AmphoraDriver, ComputeDriver
from livia.core.spec import CONTRACT_TLS
from livia.drivers.amphora.noop import NoopAmphorae
from livia.drivers.compute.noop import NoopCompute
from livia.drivers.network.local import LocalNetworks
from livia.drivers.secrets.noop import NoopSecrets
from livia.drivers.secrets.seal import KeySeal
from livia.store import leases
from livia.worker.attempt import Executors, Step, no_step
from livia.worker.metrics import Metrics
from livia.worker.outcome import Done, Outcome
from livia.worker.reconciler import Reconciler
from livia.worker.runner import Drivers
from livia.worker.service import HeldLease
from tests import database as rows


class World:
    """One database, one set of far sides, and workers that come and go."""

    def __init__(self, directory: Path, *, cidr: str = "10.0.0.0/24") -> None:
        self.database = rows.fresh(directory)
        self.clock = SystemClock()
        self.network = LocalNetworks(self.database, self.clock)
        self.amphorae = NoopAmphorae()
        self.drivers = Drivers(
            network=self.network,
            compute=NoopCompute(),
            amphorae=self.amphorae,
            secrets=NoopSecrets(),
            seal=KeySeal(b"s" * 32),
        )
        self.tls = CONTRACT_TLS
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry)
        self.net = self.network.create("tenant", cidr)

    def load_balancer(self, topology: str, project: str = "project") -> str:
        port = self.network.create_vip_port("x", project, self.net.id, ((self.net.subnet_ids[0], None),))
        return rows.put_load_balancer(
            self.database,
            topology=topology,
            network_id=self.net.id,
            subnet_id=self.net.subnet_ids[0],
            address=port.fixed_ips[0].ip_address,
            port_id=port.id,
            project_id=project,
        )

    def reconcile(self, key: str, before: Step = no_step) -> None:
        """One life of a worker, that ends well."""
        outcome = self.attempt(key, before=before)
        assert isinstance(outcome, Done), outcome

    def attempt(
        self,
        key: str,
        *,
        before: Step = no_step,
        spent: float = 0.0,
        attempts: int = 0,
        compute: ComputeDriver | None = None,
        agents: AmphoraDriver | None = None,
        removals: Executor | None = None,
        request_id: str | None = None,
    ) -> Outcome:
        """One look of a worker at a change that was tried `attempts` times, for `spent` seconds."""
        drivers = replace(
            self.drivers, compute=compute or self.drivers.compute, amphorae=agents or self.drivers.amphorae
        )
        lease = self.database.transaction(lambda connection: leases.take(connection, key, "worker", 60.0))
        assert lease is not None
        with ThreadPoolExecutor(4) as pool:
            reconciler = Reconciler(
                self.database,
                drivers,
                self.clock,
                Executors(actions=pool, removals=removals or pool),
                tls=self.tls,
                before=before,
                metrics=self.metrics,
            )
            return reconciler.reconcile(HeldLease(lease), attempts=attempts, spent=spent, request_id=request_id)

    def ports(self) -> list[str]:
        return sorted(port.name for port in self.network.ports())
