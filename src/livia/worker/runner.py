"""Turns planned actions into calls on drivers and rows. Each action may be done again at any time."""

from collections.abc import Callable
from typing import TypeAlias
from uuid import uuid4

import structlog
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, case, update

from livia.core.clock import Clock
from livia.core.drivers import (
    AmphoraDriver,
    ComputeDriver,
    DriverError,
    NetworkDriver,
    NoCapacity,
    Placement,
    Port,
    Seal,
    SecretStore,
)
from livia.core.model.amphora import Amphora
from livia.core.model.event import Event, Severity
from livia.core.model.load_balancer import Topology
from livia.core.model.status import AmphoraStatus, Provisioning
from livia.core.model.tree import LoadBalancerTree
from livia.core.plan.load_balancer import Action, Kind, cause, lasting, living, serves
from livia.core.report import Applied
from livia.core.spec import Assignment, BandwidthLimit, Plug, TlsDefaults, build, named_in, wanted, with_tls
from livia.services.binding import Material
from livia.store import amphorae, confirmation, events, spares
from livia.store.engine import Database
from livia.store.tables import load_balancer as load_balancer_table

log = structlog.get_logger()


class Drivers(Struct, frozen=True, kw_only=True):
    """All that the worker acts through."""

    network: NetworkDriver
    compute: ComputeDriver
    amphorae: AmphoraDriver
    secrets: SecretStore
    seal: Seal


class Confirmed(Struct, frozen=True):
    """A generation is confirmed. `active`: it was the newest, and the load balancer is ACTIVE with it."""

    active: bool


#: what there is to say of an action that was done
Answer: TypeAlias = Applied | Confirmed | None


class Runner:
    """Performs actions for one snapshot of one load balancer under one lease."""

    def __init__(
        self,
        database: Database,
        drivers: Drivers,
        clock: Clock,
        *,
        advert_interval: float,
        stick_size: str,
        tls: TlsDefaults,
        fence: int,
        request_id: str | None = None,
    ) -> None:
        self._database = database
        self._drivers = drivers
        self._clock = clock
        self._advert_interval = advert_interval
        self._stick_size = stick_size
        self._tls = tls
        self._fence = fence
        self._request_id = request_id
        self._material = Material(database, drivers.secrets, drivers.seal, clock)

    def run(self, action: Action, tree: LoadBalancerTree) -> Answer:
        """Perform one action; what an agent said of its amphora, or what a confirmation came to. Raises DriverError,
        or Unreachable where another try may help."""
        acts: dict[Kind, Callable[[LoadBalancerTree, Action], Answer]] = {
            Kind.ADD_AMPHORAE: self._add_amphorae,
            Kind.PLACE: self._place,
            Kind.APPLY: self._apply,
            Kind.OBSERVE: self._observe,
            Kind.REMOVE_AMPHORA: self._remove_amphora,
            Kind.CONFIRM_PARTS: self._confirm_parts,
            Kind.CONFIRM: self._confirm,
            Kind.REMOVE_LOAD_BALANCER: self._remove_load_balancer,
        }
        return acts[action.kind](tree, action)

    def _add_amphorae(self, tree: LoadBalancerTree, action: Action) -> None:
        load_balancer = tree.load_balancer
        replacing = load_balancer.confirmed_generation > 0
        full = self._full(tree, action)

        def insert(connection: Connection) -> None:
            now = self._clock.now()
            for role in action.roles:
                if spares.take(connection, load_balancer, role, now) is None:
                    if full is not None:
                        raise NoCapacity(full)
                    amphorae.add(connection, str(uuid4()), load_balancer, role, now)
                if replacing:
                    sentence = f"The {role} amphora is being replaced: {cause(tree, role)[1]}."
                    events.add(connection, self._event(tree, Severity.WARNING, "amphora.replace", sentence), now)
            if replacing:
                # The survivors' specs name their peers: they change with the newcomer.
                _raise_generation(connection, load_balancer.id)

        self._database.transaction(insert)

    def _full(self, tree: LoadBalancerTree, action: Action) -> str | None:
        """Why nothing is begun that replaces what serves, for nothing but a spare amphora could take its place."""
        if all(any(each.role is role and serves(each) for each in tree.amphorae) for role in action.roles):
            return self._drivers.compute.full(tree.load_balancer)
        return None

    def _place(self, tree: LoadBalancerTree, action: Action) -> None:
        amphora = _amphora(tree, action)
        # Those that are to go are in nobody's way.
        others = frozenset(each.id for each in lasting(tree).amphorae if each.id != amphora.id)
        placement = self._drivers.compute.place(tree.load_balancer, amphora, others)
        port = self._drivers.network.ensure_amphora_port(tree.load_balancer, amphora)
        self._database.transaction(
            lambda connection: amphorae.record(
                connection,
                amphora.id,
                self._clock.now(),
                compute_id=placement.compute_id,
                lb_network_ip=placement.address,
                agent_port=placement.agent_port,
                cached_zone=placement.zone,
                vrrp_port_id=port.id,
                vrrp_ip=_address_on(port, tree.load_balancer.vip.subnet_id),
                status=str(AmphoraStatus.BOOTING),
            )
        )

    def _apply(self, tree: LoadBalancerTree, action: Action) -> Applied:
        amphora = _amphora(tree, action)
        plugs = self._plugs(tree, amphora)
        spec = build(living(tree), amphora, plugs, self._advert_interval, self._stick_size)
        pems = self._material.pems(tree.load_balancer, wanted(spec, tree))
        spec = with_tls(spec, tree, pems, self._tls)
        assignment = Assignment(
            fence=self._fence, generation=tree.load_balancer.generation, spec=spec, material=named_in(spec, pems)
        )
        applied = self._drivers.amphorae.apply(self._placement(amphora), assignment)
        # Unplugged by now, and before the record: what is recorded is not looked at again.
        self._delete_ports(amphora, keep=frozenset(plug.port_id for plug in plugs))
        self._record(applied)
        return applied

    def _observe(self, tree: LoadBalancerTree, action: Action) -> Applied | None:
        amphora = _amphora(tree, action)
        applied = self._drivers.amphorae.observe(self._placement(amphora), amphora.id)
        if applied is not None and applied.holds_vip != amphora.holds_vip:
            self._record(applied)
        return applied

    def _record(self, applied: Applied) -> None:
        self._database.transaction(lambda connection: amphorae.record_applied(connection, applied, self._clock.now()))

    def _plugs(self, tree: LoadBalancerTree, amphora: Amphora) -> tuple[Plug, ...]:
        """The VIP port first, then one port for each further subnet with members."""
        network, vip = self._drivers.network, tree.load_balancer.vip
        own = network.ensure_amphora_port(tree.load_balancer, amphora)
        # The default route is the one of the VIP's subnet.
        primary_first = tuple(sorted(own.fixed_ips, key=lambda fixed: fixed.subnet_id != vip.subnet_id))
        limits = () if vip.qos_policy_id is None else self._limits(vip.qos_policy_id)
        plugs = [replace(network.plug(replace(own, fixed_ips=primary_first)), limits=limits)]
        reached = {fixed.subnet_id for fixed in own.fixed_ips}
        for subnet_id in sorted(_member_subnets(tree) - reached):
            if network.subnet(subnet_id) is not None:
                port = network.ensure_member_port(amphora, subnet_id)
                # The default route leads through the VIP network (contract 95, section 1.5).
                plugs.append(replace(network.plug(port), gateway=None, routes=()))
        return tuple(plugs)

    def _limits(self, policy_id: str) -> tuple[BandwidthLimit, ...]:
        policy = self._drivers.network.qos_policy(policy_id)
        if policy is None:
            raise DriverError(f"qos_policy {policy_id} not found.", code="qos_policy_not_found", status=404)
        return policy.limits

    def _delete_ports(self, amphora: Amphora, keep: frozenset[str] = frozenset()) -> None:
        network = self._drivers.network
        for port in network.ports_of(amphora.id):
            if port.id not in keep:
                network.delete_port(port.id)

    def _placement(self, amphora: Amphora) -> Placement:
        placement = self._drivers.compute.find(amphora)
        if placement is None:
            raise DriverError(f"The host of amphora {amphora.id} is not registered any more.", code="host_gone")
        return placement

    def _remove_amphora(self, tree: LoadBalancerTree, action: Action) -> None:
        amphora, load_balancer = _amphora(tree, action), tree.load_balancer
        self._dismantle(amphora, self._fence)
        deleting = load_balancer.provisioning_status is Provisioning.PENDING_DELETE
        # The others' specs name it as their peer.
        named = load_balancer.topology is not Topology.SINGLE and amphora.applied_generation > 0 and not deleting
        self._forget(amphora, _raise_quietly if named else None)

    def remove_orphan(self, amphora: Amphora) -> None:
        """Remove an amphora without a load balancer, with all that was made for it. Raises DriverError."""
        placement = self._drivers.compute.find(amphora)
        known = None if placement is None else self._drivers.amphorae.observe(placement, amphora.id)
        # Its agent remembers the fence of a load balancer that nobody works on any more.
        self._dismantle(amphora, self._fence if known is None else max(self._fence, known.fence))
        self._forget(amphora, None)

    def not_removed(self, amphora_id: str, error: DriverError) -> None:
        """A removal failed: who asked for it sees ERROR again."""
        log.warning("amphora not removed", amphora=amphora_id, reason=error.message)
        now = self._clock.now()
        self._database.transaction(lambda connection: amphorae.removal_failed(connection, amphora_id, now))

    def give_up_lost(self, amphora: Amphora, tree: LoadBalancerTree) -> bool:
        """Whether the host was lost of an amphora that was being built: another is built elsewhere."""
        why = self._drivers.compute.lost(amphora)
        if why is None:
            return False
        sentence = f"Amphora {amphora.id} was not finished, and another is built elsewhere: {why}"
        self._give_up(amphora, self._event(tree, Severity.WARNING, "amphora.host_lost", sentence))
        return True

    def give_up_refused(self, amphora: Amphora, tree: LoadBalancerTree, why: str) -> bool:
        """Whether an amphora that its host refuses to build is built elsewhere. Otherwise that host, which has the
        fewest for it, would be given everything that is made, and have it wait, whoever else has room."""
        if not self._drivers.compute.shun(tree.load_balancer, amphora):
            return False
        where = f"on host {amphora.compute_id}, and another is built elsewhere"
        sentence = f"Amphora {amphora.id} could not be built {where}: {why}"
        self._give_up(amphora, self._event(tree, Severity.WARNING, "amphora.host_refused", sentence))
        return True

    def _give_up(self, amphora: Amphora, entry: Event) -> None:
        def settle(connection: Connection) -> None:
            now = self._clock.now()
            amphorae.give_up(connection, amphora.id, now)
            events.add(connection, entry, now)

        self._database.transaction(settle)

    def _dismantle(self, amphora: Amphora, fence: int) -> None:
        placement = self._drivers.compute.find(amphora)
        if placement is not None:
            self._drivers.amphorae.remove(placement, amphora.id, fence)
        self._drivers.compute.release(amphora)
        self._delete_ports(amphora)

    def _forget(self, amphora: Amphora, then: Callable[[Connection, str], None] | None) -> None:
        def settle(connection: Connection) -> None:
            gone = amphorae.forget(connection, amphora.id, self._clock.now())
            if gone and then is not None and amphora.load_balancer_id is not None:
                then(connection, amphora.load_balancer_id)

        self._database.transaction(settle)

    def _confirm(self, tree: LoadBalancerTree, action: Action) -> Confirmed:
        load_balancer = tree.load_balancer

        def settle(connection: Connection) -> Confirmed:
            now = self._clock.now()
            newest = confirmation.confirm(connection, load_balancer.id, load_balancer.generation, now)
            if newest and load_balancer.provisioning_status is not Provisioning.ACTIVE:
                sentence = f"Every amphora confirmed generation {load_balancer.generation}."
                events.add(connection, self._event(tree, Severity.INFO, "load_balancer.active", sentence), now)
            return Confirmed(active=newest)

        return self._database.transaction(settle)

    def _confirm_parts(self, tree: LoadBalancerTree, action: Action) -> None:
        key, generation = tree.load_balancer.id, tree.load_balancer.generation
        self._database.transaction(
            lambda connection: confirmation.confirm_parts(connection, key, generation, self._clock.now())
        )

    def _remove_load_balancer(self, tree: LoadBalancerTree, action: Action) -> None:
        load_balancer = tree.load_balancer
        network, vip = self._drivers.network, load_balancer.vip
        if vip.owned:
            network.delete_port(vip.port_id)
        else:
            network.release_vip_port(vip.port_id, load_balancer.id)

        def settle(connection: Connection) -> None:
            now = self._clock.now()
            confirmation.remove(connection, load_balancer.id, now)
            events.add(connection, self._event(tree, Severity.INFO, "load_balancer.deleted", "It is gone."), now)

        self._database.transaction(settle)

    def _event(self, tree: LoadBalancerTree, severity: Severity, code: str, message: str) -> Event:
        return Event(
            load_balancer_id=tree.load_balancer.id,
            object_type="load_balancer",
            object_id=tree.load_balancer.id,
            severity=severity,
            code=code,
            message=message,
            request_id=self._request_id,
        )


def _amphora(tree: LoadBalancerTree, action: Action) -> Amphora:
    return next(amphora for amphora in tree.amphorae if amphora.id == action.amphora_id)


def _member_subnets(tree: LoadBalancerTree) -> set[str]:
    """Subnets of members that last: the port for the last member of a subnet goes with it."""
    return {
        member.subnet_id
        for pool in tree.pools
        if pool.provisioning_status is not Provisioning.PENDING_DELETE
        for member in pool.members
        if member.subnet_id and member.provisioning_status is not Provisioning.PENDING_DELETE
    }


def _address_on(port: Port, subnet_id: str | None) -> str:
    on_subnet = [fixed.ip_address for fixed in port.fixed_ips if fixed.subnet_id == subnet_id]
    return (on_subnet or [fixed.ip_address for fixed in port.fixed_ips])[0]


def _raise_generation(connection: Connection, load_balancer_id: str) -> None:
    status = load_balancer_table.c.provisioning_status
    keep = status.in_((Provisioning.PENDING_CREATE, Provisioning.PENDING_DELETE))
    connection.execute(
        update(load_balancer_table)
        .where(load_balancer_table.c.id == load_balancer_id)
        .values(
            generation=load_balancer_table.c.generation + 1,
            provisioning_status=case((keep, status), else_=str(Provisioning.PENDING_UPDATE)),
        )
    )


def _raise_quietly(connection: Connection, load_balancer_id: str) -> None:
    """The specs change, and nothing that anybody asked for does: the status stays."""
    connection.execute(
        update(load_balancer_table)
        .where(load_balancer_table.c.id == load_balancer_id)
        .values(generation=load_balancer_table.c.generation + 1)
    )
