"""HAProxy of one amphora: its files, its start, and its changes."""

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress

import structlog

from livia.agent import disk
from livia.agent.departures import Departures
from livia.agent.disk import AmphoraDirectory
from livia.agent.errors import HaproxyRefusedError, PlumbingError
from livia.agent.haproxy import addresses, render, runtime, verdicts
from livia.agent.haproxy.certificates import Certificates, renewals
from livia.agent.haproxy.change import plan
from livia.agent.haproxy.counting import Counting
from livia.agent.haproxy.master import Master
from livia.agent.haproxy.program import Trial, telling
from livia.agent.haproxy.runtime import Known, RuntimeApiError, Worker
from livia.agent.haproxy.server import ids
from livia.agent.haproxy.servers import AtRuntime, ByReload, Surroundings, twin_of
from livia.agent.haproxy.verdicts import checked
from livia.agent.haproxy.wiring import backend_name, backends
from livia.agent.haproxy.written import Written
from livia.agent.host import Host
from livia.agent.material import Material
from livia.agent.probes.target import MemberKey
from livia.agent.probes.watch import Watch
from livia.agent.twins import Twins
from livia.core.spec import MemberSpec, Spec

log = structlog.get_logger()

#: seconds from the start of HAProxy to its first answer
_PATIENCE = 10.0
#: HAProxy reads one line of commands into one buffer (16 kB); one of these has some 150 bytes
_MOST_VERDICTS = 50


class Haproxy:
    """One master with its worker. The caller holds the amphora's lock."""

    def __init__(self, host: Host, directory: AmphoraDirectory, material: Material, probes: Watch) -> None:
        self._host = host
        self._probes = probes
        self._directory = directory
        self._material = material
        self.worker = Worker(directory.path)
        self.master = Master(directory.path)
        self._written = Written()
        self.departures = Departures(self.worker)
        self._certificates = Certificates(self.worker, material.pem)
        self._twins = Twins(self.worker, self.departures)
        self.counting = Counting(directory, self.worker, self.master)

    def text(self, spec: Spec) -> str:
        """Its configuration file. Raises InvalidSpecError."""
        return render.render(spec, self._host.machine, self._written)

    def try_out(self, text: str, spec: Spec) -> Trial:
        """Have HAProxy judge a file, and the key material of its spec, that replace nothing yet. Raises
        PlumbingError."""
        disk.write(self._directory.candidate, text, durable=False)
        place = self._material.trial(spec)
        return Trial(self._host.config.haproxy, place, self._directory.candidate.name)

    def judge(self, trial: Trial) -> None:
        """Wait for the verdict. A refused file is kept for whoever wants to know why. Raises HaproxyRefusedError."""
        try:
            trial.verdict()
        except HaproxyRefusedError:
            self._directory.candidate.replace(self._directory.failed_config)
            raise

    def require_addresses(self, running: Spec, wanted: Spec) -> None:
        """Raises HaproxyRefusedError when somebody else has an address that `wanted` adds."""
        namespace = self._host.names.amphora(wanted.amphora_id)
        addresses.require(self._host.config.haproxy, namespace, running, wanted)

    def accept(self, text: str, spec: Spec) -> None:
        """The file, and the key material of its spec, that every later start and reload reads. Raises
        PlumbingError."""
        self._material.lay_out(spec)
        disk.write(self._directory.config, text, durable=False)
        self._directory.candidate.unlink(missing_ok=True)

    def await_start(self) -> None:
        """Wait until a worker answers. Raises HaproxyRefusedError when HAProxy ends instead."""
        deadline = time.monotonic() + _PATIENCE
        while not self.worker.answers():
            if self._directory.haproxy_exit.exists() or time.monotonic() > deadline:
                said = ""
                with suppress(OSError):
                    said = self._directory.haproxy_log.read_text(errors="replace")
                raise HaproxyRefusedError("HAProxy does not start.", telling(said))
            time.sleep(0.002)

    def change(self, running: Spec, wanted: Spec, text: str) -> None:
        """Go from one spec to the other with the least disturbance; `text` has been judged if it is to be reloaded.

        Raises RuntimeApiError or ReloadFailedError when neither way works: the old worker then goes on.
        """
        step = self.plan(running, wanted)
        if isinstance(step, AtRuntime):
            try:
                self._certificates.change(renewals(running, wanted))
                self._at_runtime(step, wanted)
            except RuntimeApiError as error:
                log.warning("runtime change failed, reloading", reason=str(error), amphora=wanted.amphora_id)
            else:
                self.accept(text, wanted)
                return
        self.accept(text, wanted)
        self.reload(running, wanted)

    def plan(self, running: Spec, wanted: Spec) -> AtRuntime | ByReload:
        """Which way a change would go."""
        around = Surroundings(self.departures.origins(), self._twins.paths())
        return plan(running, wanted, around)

    def to_judge(self, running: Spec, wanted: Spec) -> bool:
        """Whether a change has parts that HAProxy can refuse: a reload, or other key material."""
        return isinstance(self.plan(running, wanted), ByReload) or bool(renewals(running, wanted))

    def _at_runtime(self, step: AtRuntime, wanted: Spec) -> None:
        for command in step.commands:
            self.worker.expect(command.text, *filter(None, [command.answer]))
        self.departures.cancel(step.returns)
        self._twins.stand_in(step.replacements)
        self.departures.begin(step.departures)
        self._twins.return_home(wanted)
        changes = len(step.commands) + len(step.replacements) + len(step.departures)
        self._host.metrics.runtime_changes.inc(changes)

    @property
    def unsettled(self) -> bool:
        """Whether HAProxy has servers that the file does not have."""
        return bool(self.departures or self._twins)

    def settle(self, spec: Spec) -> None:
        """Go on with what the last change left. Raises ReloadFailedError or RuntimeApiError."""
        try:
            self.departures.proceed()
            self._twins.return_home(spec)
        except RuntimeApiError as error:
            log.warning("servers could not be settled, reloading", reason=str(error), amphora=spec.amphora_id)
            self.reload(spec, spec)

    def standing_in(self) -> dict[str, str]:
        """Paths of members to those of the twins that serve in their place now. Needs no lock."""
        return self._twins.paths()

    def adopt(self, spec: Spec) -> None:
        """An earlier agent may have left servers that the file does not have. Raises as `settle` does."""
        expected = expected_servers(spec)
        self.departures.find(expected)
        if any(twin_of(path) in self.departures.origins() for path in expected):
            # Which of the two serves is not worth knowing: the file has one.
            self.reload(spec, spec)

    def reload(self, running: Spec, wanted: Spec) -> None:
        """Load the accepted file. Raises ReloadFailedError or RuntimeApiError."""
        state = runtime.server_state(
            self.worker.ask("show servers state"), _lasting(running, wanted, self._twins.paths())
        )
        dead = verdicts.state_rows(wanted, self._probes.up)
        disk.write(self._directory.server_state, "\n".join([state.rstrip(), *dead, ""]), durable=False)
        with self.counting.across_reload({listener.id for listener in running.listeners}):
            self.master.reload()
        self.departures.clear()
        self._twins.clear()
        self._host.metrics.reloads.inc()

    def heed(self, spec: Spec, members: Iterable[MemberKey]) -> None:
        """The agent's own checks found these members up or down: tell the worker, and the next one that starts.
        Needs no lock. Raises RuntimeApiError; `correct` makes up for it."""
        try:
            self.keep_verdicts(spec)
        except PlumbingError as error:
            # The disk is full: traffic follows the verdicts all the same.
            log.warning("verdicts are not kept for the next HAProxy", reason=error.message)
        self._tell(verdicts.commands(spec, members, self._probes.up))

    def correct(self, spec: Spec, statuses: Mapping[tuple[str, str], str]) -> None:
        """Tell the worker where it is not of the agent's opinion. Needs no lock. Raises RuntimeApiError."""
        self._tell(verdicts.corrections(spec, statuses, self._probes.up))

    def keep_verdicts(self, spec: Spec) -> None:
        """So that a HAProxy that starts without the agent knows the dead members."""
        rows = verdicts.state_rows(spec, self._probes.up)
        if rows:
            disk.write(self._directory.start_state, verdicts.state_file(rows), durable=False)
        else:
            self._directory.start_state.unlink(missing_ok=True)

    def _tell(self, commands: list[str]) -> None:
        for start in range(0, len(commands), _MOST_VERDICTS):
            self.worker.ask(";".join(commands[start : start + _MOST_VERDICTS]))


def expected_servers(spec: Spec) -> frozenset[str]:
    """`backend/server` of every server of the spec."""
    return frozenset(
        f"{backend_name(pool.id, listener.id)}/{member.id}"
        for listener, pool in backends(spec)
        for member in pool.members
    )


def _lasting(running: Spec, wanted: Spec, twins: Mapping[str, str]) -> dict[tuple[str, str], Known]:
    """Servers whose health outlives a reload: checked before and after, at the same place."""
    before = {pool.id: pool for pool in running.pools}
    lasting: dict[tuple[str, str], Known] = {}
    for listener, pool in backends(wanted):
        old = before.get(pool.id)
        if old is None or not checked(old) or not checked(pool):
            continue
        if (old.tls is None) != (pool.tls is None):
            # A state row also says whether the server is spoken to over TLS, and the new worker would believe it.
            continue
        backend, numbers = backend_name(pool.id, listener.id), ids(pool)
        places = {member.id: _place(member) for member in old.members if member.enabled}
        for member in pool.members:
            if member.enabled and places.get(member.id) == _place(member):
                path = f"{backend}/{member.id}"
                server = twins.get(path, path).partition("/")[2]
                lasting[backend, server] = Known(member.id, numbers[member.id], member.weight)
    return lasting


def _place(member: MemberSpec) -> tuple[object, ...]:
    return member.address, member.port, member.monitor_address, member.monitor_port
