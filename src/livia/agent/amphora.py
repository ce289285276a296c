"""One amphora: brings it from what it is to what its spec says, and knows how it is."""

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Lock

import structlog
from msgspec.structs import replace

from livia.agent import parting
from livia.agent.acceptance import check, check_material
from livia.agent.datagram.packets import Packets
from livia.agent.disk import AmphoraDirectory, Record
from livia.agent.errors import HaproxyRefusedError, PlumbingError, RefusalError, StaleFenceError
from livia.agent.familiar import familiar
from livia.agent.haproxy.master import ReloadFailedError
from livia.agent.haproxy.peers import learned
from livia.agent.haproxy.process import Haproxy
from livia.agent.haproxy.render import bound_addresses
from livia.agent.haproxy.runtime import RuntimeApiError
from livia.agent.host import Host
from livia.agent.keepalived.process import Keepalived
from livia.agent.material import Material
from livia.agent.plumbing.amphora import AmphoraNetwork
from livia.agent.plumbing.held import Held
from livia.agent.probes.target import MemberKey
from livia.agent.processes import Processes
from livia.agent.prometheus.scrape import Source
from livia.agent.prometheus.translation import Exposed, exposed
from livia.core.report import Applied
from livia.core.spec import Assignment, Interface, Spec, canonical, digest_of

log = structlog.get_logger()


class Amphora:
    """All changes of one amphora go through its lock; those of different amphorae run side by side."""

    def __init__(self, host: Host, amphora_id: str) -> None:
        self.id = amphora_id
        self.lock = Lock()
        self.directory = AmphoraDirectory(host.amphorae_directory / amphora_id)
        self._material = Material(host, self.directory, amphora_id)
        self.record: Record | None = None
        #: the last spec that this process has checked, whether or not it could be carried out
        self._accepted: Spec | None = None
        #: removed: whoever waited for the lock must look for the amphora anew
        self.gone = False
        self._host = host
        self._network = AmphoraNetwork(host.fabric, host.names, amphora_id)
        #: the verdicts on members that the agent checks itself
        self.probes = host.prober.watch(self._network.namespace, self.directory.verdicts, self._heed)
        self.haproxy = Haproxy(host, self.directory, self._material, self.probes)
        self.packets = Packets(self._network.namespace, self.probes, host.pace)
        self._metrics = Source(self._network.namespace, self.directory.path, self._exposed)
        self.keepalived = Keepalived(self.directory)
        self._processes = Processes(host, self.directory, self._network.namespace, self.haproxy, self.keepalived)
        self._held = Held(self._network.namespace)

    # -- what the API asks for ---------------------------------------------------------------------------------

    def apply(self, assignment: Assignment) -> Applied:
        """Make it so. Raises RefusalError; what ran before then still runs. The caller holds the lock."""
        before = self.record
        if before is not None and assignment.fence < before.assignment.fence:
            raise StaleFenceError(assignment.fence, before.assignment.fence)
        known = self._accepted or (before.assignment.spec if before is not None else None)
        spec = assignment.spec if known is None else familiar(assignment.spec, known)
        check(spec, self._accepted)
        self._accepted = spec
        check_material(spec, assignment.material)
        text = canonical(spec)
        record = Record(assignment=replace(assignment, spec=spec, material={}), digest=digest_of(text))
        if before is None:
            self._create(spec, assignment.material)
        else:
            self._material.keep(spec, assignment.material)
            try:
                self._go_on(before, record)
            except RefusalError:
                self._material.prune(before.assignment.spec)
                raise
        self.directory.write_record(record, text)
        self.record = record
        self.directory.clear_pending()
        self._material.prune(spec)
        self._check_members(spec)
        return self.observe(record)

    def observe(self, record: Record) -> Applied:
        """How it is now."""
        spec = record.assignment.spec
        return Applied(
            amphora_id=self.id,
            load_balancer_id=spec.load_balancer_id,
            generation=record.assignment.generation,
            digest=record.digest,
            fence=record.assignment.fence,
            holds_vip=self.holds_vip(spec),
            forwarding=self._forwards(spec),
            learned=learned(self.haproxy.worker, spec),
            haproxy_version=self._host.haproxy_version,
        )

    def _forwards(self, spec: Spec) -> bool:
        """Whether it does what heartbeats would tell of: an amphora that cannot be looked at is silent, and must not
        be taken for one whose heartbeats only get lost."""
        if not self.present() or not self.haproxy.worker.answers():
            return False
        try:
            self.packets.look(spec)
        except (PlumbingError, OSError):
            return False
        return True

    def remove(self, fence: int, farewell: Callable[["Amphora"], None]) -> None:
        """Leave nothing of it; `farewell` is called before. Raises StaleFenceError. The caller holds the lock."""
        if self.record is not None and fence < self.record.assignment.fence:
            raise StaleFenceError(fence, self.record.assignment.fence)
        farewell(self)
        self._give_way()
        self._dismantle(self.record.assignment.spec if self.record else None)
        self.gone = True

    def _give_way(self) -> None:
        """Have the other of a pair take the VIPs first: one that is killed is missed only after three adverts."""
        spec = self.record.assignment.spec if self.record is not None else None
        if spec is None or spec.vrrp is None or not self.holds_vip(spec):
            return
        parting.give_way(
            self._network.namespace,
            [vip.address for vip in spec.vips],
            self._processes.end_keepalived,
            lambda: self.holds_vip(spec),
        )

    def finish(self) -> None:
        """Do what changes left to do. Raises RuntimeApiError, ReloadFailedError, PlumbingError. The caller holds the
        lock."""
        if self.record is not None and not self.gone:
            spec = self.record.assignment.spec
            self.packets.balance(spec)
            self.haproxy.settle(spec)

    # -- what the agent does at its start ----------------------------------------------------------------------

    def adopt(self) -> None:
        """Take over what an earlier agent left: touched only where it is not whole. Raises RefusalError."""
        self.record = self.directory.read_record()
        if self.record is None:
            # The agent died while it built the amphora, before anybody was told that it is there.
            self._dismantle(None)
            self.gone = True
            return
        spec = self.record.assignment.spec
        if self.directory.pending.exists() or not self.whole():
            log.info("amphora is rebuilt from disk", amphora=self.id)
            self._rebuild(spec, spec)
            self.directory.clear_pending()
        else:
            self._material.lay_out(spec)
            try:
                self.haproxy.adopt(spec)
            except (RuntimeApiError, ReloadFailedError) as error:
                raise _refusal(error) from error
        self._check_members(spec)

    def prepare_restart(self) -> None:
        """Before s6 starts anything: no service runs without its namespace, no HAProxy without its key material."""
        self.record = self.directory.read_record()
        if self.record is None:
            return
        if not self._network.present():
            # Processes that outlived the name of their namespace serve nobody.
            self._stop()
            self._plug(self.record.assignment.spec)
        self._material.lay_out(self.record.assignment.spec)

    def let_go(self) -> None:
        """The agent ends; the amphora goes on."""
        self._host.prober.forget(self.probes)
        self.haproxy.counting.close()
        self._let_go_of_namespace()

    # -- how it is -----------------------------------------------------------------------------------------------

    def whole(self) -> bool:
        """Whether all that should run does."""
        paired = self.record is not None and self.record.assignment.spec.vrrp is not None
        return self._network.present() and self.haproxy.worker.answers() and (not paired or self.keepalived.runs())

    def present(self) -> bool:
        """Whether its namespace is there."""
        return self._network.present()

    def holds_vip(self, spec: Spec) -> bool:
        """Whether the VIPs stand on an interface of this amphora now."""
        wanted = bound_addresses(spec)
        return bool(wanted) and self._held.all_of(wanted)

    def _let_go_of_namespace(self) -> None:
        """A namespace lives as long as anybody has a socket in it."""
        self._held.close()
        self.packets.close()
        self._host.prometheus.leave(self._metrics)

    # -- how it changes ------------------------------------------------------------------------------------------

    def _go_on(self, before: Record, record: Record) -> None:
        running, wanted = before.assignment.spec, record.assignment.spec
        if self.directory.pending.exists() or not self.whole():
            self._rebuild(running, wanted)
        elif before.digest != record.digest:
            self._change(running, wanted)
        else:
            self._material.lay_out(wanted)

    def _create(self, spec: Spec, material: Mapping[str, str]) -> None:
        text = self.haproxy.text(spec)
        vrrp = self.keepalived.text(spec)
        self.directory.path.mkdir(mode=0o700, exist_ok=True)
        self.directory.mark_pending()
        try:
            self._material.keep(spec, material)
            # The check takes as long as the plumbing: they run side by side.
            trial = self.haproxy.try_out(text, spec)
            # Without VRRP nothing holds the VIP back until HAProxy answers: another amphora may serve it meanwhile.
            alone = vrrp is None
            try:
                self._plug(replace(spec, vips=()) if alone else spec)
            finally:
                self.haproxy.judge(trial)
            self.haproxy.accept(text, spec)
            self._processes.start(spec, vrrp)
            if alone:
                self._plug(spec)
        except RefusalError:
            self._dismantle(spec)
            raise

    def _plug(self, spec: Spec) -> None:
        """Connect it. Packet rules come first: nobody is to reach a VIP past them."""

        def prepare(fresh: bool) -> None:
            if fresh:
                self.packets.begin()
            self.packets.apply(spec)

        self._network.apply(spec, prepare)

    def _change(self, running: Spec, wanted: Spec) -> None:
        text = self.haproxy.text(wanted)
        vrrp = self.keepalived.text(wanted)
        if (vrrp is None) != (running.vrrp is None):
            # From SINGLE to a pair or back is another amphora's life: nothing of it need be kept.
            self._rebuild(running, wanted)
            return
        if self.haproxy.to_judge(running, wanted):
            # Before anything is touched: what HAProxy refuses changes nothing.
            self.haproxy.judge(self.haproxy.try_out(text, wanted))
            self.haproxy.require_addresses(running, wanted)
        self.directory.mark_pending()
        try:
            self._carry_out(running, wanted, text, vrrp)
        except (RefusalError, RuntimeApiError, ReloadFailedError) as error:
            self._restore(running, error)
            raise _refusal(error) from error

    def _carry_out(self, running: Spec, wanted: Spec, text: str, vrrp: str | None) -> None:
        plumbed = (running.interfaces, running.vips) == (wanted.interfaces, wanted.vips)
        surplus = _surplus(running, wanted)
        if not plumbed:
            # Before HAProxy needs what comes, and after it needed what goes.
            self._plug(replace(wanted, interfaces=(*wanted.interfaces, *surplus)))
        else:
            self.packets.apply(wanted)
        if vrrp is not None and vrrp != self.keepalived.text(running):
            self.keepalived.write(wanted, vrrp)
            self.keepalived.reload()
        self.haproxy.change(running, wanted, text)
        if surplus:
            self._plug(wanted)

    def _restore(self, last_good: Spec, reason: Exception) -> None:
        log.warning("change failed, the last good state is restored", amphora=self.id, reason=str(reason))
        try:
            self._rebuild(last_good, last_good)
            self.directory.clear_pending()
            self._host.prometheus.follow(self._metrics, last_good)
        except RefusalError as error:
            # `pending` stays: the next PUT or start of the agent tries again.
            log.error("restoring failed", amphora=self.id, reason=error.message, details=error.details)

    def _rebuild(self, running: Spec, wanted: Spec) -> None:
        """Whatever is there now, make it `wanted`; what runs well is not interrupted. Raises RefusalError."""
        text = self.haproxy.text(wanted)
        vrrp = self.keepalived.text(wanted)
        self.haproxy.judge(self.haproxy.try_out(text, wanted))
        self.directory.mark_pending()
        same_kind = (vrrp is None) == (running.vrrp is None)
        if not self._network.present() or not same_kind:
            # Processes in a namespace that has lost its name serve nobody.
            self._stop()
            self._let_go_of_namespace()
            self._host.prober.suspend(self.probes)
        self._plug(wanted)
        self.haproxy.accept(text, wanted)
        if not self._processes.serve():
            self._processes.start(wanted, vrrp)
            self.keepalived.reload()
            return
        self._processes.go_on(wanted, vrrp)
        try:
            self.haproxy.reload(running, wanted)
        except (RuntimeApiError, ReloadFailedError) as error:
            raise _refusal(error) from error

    def _check_members(self, spec: Spec) -> None:
        """Have the agent check what HAProxy cannot, from now on. A reload, a start or a change at run time may have
        left HAProxy with older verdicts: the next look corrects it."""
        self._host.prober.follow(self.probes, spec)
        self.haproxy.keep_verdicts(spec)
        self._send_datagrams(spec)
        self._host.prometheus.follow(self._metrics, spec)

    def _exposed(self) -> Exposed | None:
        record = self.record
        return exposed(record.assignment.spec, self.haproxy.standing_in()) if record is not None else None

    def _send_datagrams(self, spec: Spec) -> None:
        """To members that are up by now."""
        try:
            self.packets.apply(spec)
        except PlumbingError as error:
            log.error("packet rules do not follow the members", amphora=self.id, reason=error.details)

    def _heed(self, members: frozenset[MemberKey]) -> None:
        """Members that the agent checks went up or down."""
        record = self.record
        if record is None or self.gone:
            return
        try:
            self.haproxy.heed(record.assignment.spec, members)
        except RuntimeApiError as error:
            log.warning("HAProxy was not told of its members", amphora=self.id, reason=str(error))
        with self.lock:
            if self.record is not None and not self.gone:
                self._send_datagrams(self.record.assignment.spec)

    def _stop(self) -> None:
        """End its processes and their supervisors."""
        if self.record is not None:
            with suppress(RuntimeApiError):
                self.haproxy.counting.look({listener.id for listener in self.record.assignment.spec.listeners})
        self._processes.end()
        self.haproxy.counting.close()

    def _dismantle(self, spec: Spec | None) -> None:
        self._stop()
        self._let_go_of_namespace()
        self._host.prober.forget(self.probes)
        self._network.remove(spec)
        # Whoever looks for VIPs meanwhile may have opened it anew; now nobody can any more.
        self._held.close()
        self._material.remove()
        shutil.rmtree(self.directory.path, ignore_errors=True)


def _surplus(running: Spec, wanted: Spec) -> tuple[Interface, ...]:
    """Interfaces whose ports are no longer wanted, under no name."""
    ports = {interface.port_id for interface in wanted.interfaces}
    names = {interface.name for interface in wanted.interfaces}
    return tuple(each for each in running.interfaces if each.port_id not in ports and each.name not in names)


def _refusal(error: Exception) -> RefusalError:
    if isinstance(error, RefusalError):
        return error
    if isinstance(error, ReloadFailedError) and error.said:
        # It took the file, and not what is in it: an address that somebody has, a file that it must not read.
        return HaproxyRefusedError("HAProxy does not go on with this; the last good state does.", error.said)
    return PlumbingError("HAProxy could not be changed; the last good state goes on.", details=str(error))
