"""Certificates of agents and of controllers are renewed before they end, and authorities are rolled over, while
everybody goes on talking (contract 90, [house_keeping]; design, section 7)."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from cryptography import x509
from msgspec import Struct
from prometheus_client import CollectorRegistry

from livia.core.clock import Clock
from livia.core.credentials import Credentials, Renewal
from livia.core.drivers import AgentDriver, DriverError, Placement
from livia.core.model.amphora import AmphoraHost
from livia.house.runner import Outcome, Turn
from livia.house.shown import Shown
from livia.pki.authority import AuthorityError, expires, write_private
from livia.pki.rollover import Rollover
from livia.store import hosts
from livia.store.engine import Database

log = structlog.get_logger()

_DAY = 86400.0
#: seconds of silence after which a host holds up no roll-over
_FORGOTTEN = 7 * _DAY


class Pki(Struct, frozen=True, kw_only=True):
    """The built-in authorities, and the certificate by which controllers are known to agents: `controller` is a PEM
    file, `controller_name` what it says."""

    agents: Rollover
    controllers: Rollover
    controller: Path
    controller_name: str


class Validity(Struct, frozen=True, kw_only=True):
    """`life`: of a certificate; `buffer`: it is renewed when it has less left; `authority_buffer`: the same for an
    authority; `overlap`: the least time that an authority is trusted before it signs, and after the last certificate
    of it that is known was renewed."""

    life: timedelta
    buffer: timedelta
    authority_buffer: timedelta
    overlap: timedelta


class Agent(Struct, frozen=True):
    """A host with what its agent serves with; None: it does not answer, or does not tell."""

    host: AmphoraHost
    credentials: Credentials | None


class Certificates:
    """A Job."""

    name = "certificates"

    def __init__(
        self,
        database: Database,
        clock: Clock,
        agents: AgentDriver,
        pki: Pki,
        validity: Validity,
        registry: CollectorRegistry,
        *,
        interval: float,
    ) -> None:
        self.interval = interval
        self._database = database
        self._clock = clock
        self._agents = agents
        self._pki = pki
        self._validity = validity
        self._left = Shown(
            "livia_certificate_days_left",
            "Days until a certificate ends: of the authorities, the controllers, each agent.",
            ["subject"],
            registry,
        )

    def run(self, turn: Turn) -> Outcome:
        """Renew what is due. What cannot be renewed now is told, and tried again by the next turn."""
        told = [*self._begin(), *self._renew_own()]
        fleet = []
        for host in self._hosts():
            turn.step()
            agent, sentence = self._renew(host)
            fleet.append(agent)
            told += sentence
        # Controllers read what they trust anew by themselves; agents were just told.
        told += self._go_on(self._pki.agents, [], self._of_earlier(fleet))
        told += self._go_on(self._pki.controllers, self._not_knowing(fleet), self._controllers_of_earlier())
        self._measure(fleet)
        return Outcome(done=len(told), reason=" ".join(told) or "every certificate lasts")

    def _hosts(self) -> list[AmphoraHost]:
        with self._database.read() as connection:
            return [host for host, age in hosts.every(connection) if age < _FORGOTTEN]

    def _begin(self) -> list[str]:
        """Begin with the successor of an authority that is to end, and with what an operator supplies."""
        told = []
        for rollover in (self._pki.agents, self._pki.controllers):
            try:
                told += self._succeed(rollover)
            except AuthorityError as error:
                # The one that signs now goes on.
                told.append(_warned(f"{rollover.name}: {error}"))
        return told

    def _succeed(self, rollover: Rollover) -> list[str]:
        if rollover.awaits() and rollover.begin():
            return [_told(f"The authority of ca_certificate is trusted as {rollover.name} from now on.")]
        left = rollover.ends() - self._now()
        if left >= self._validity.authority_buffer:
            return []
        ends = f"The authority {rollover.name} ends in {left.total_seconds() / _DAY:.0f} days"
        if rollover.begin():
            return [_told(f"{ends}: a new one is trusted from now on.")]
        if rollover.supplied is not None and rollover.coming() is None:
            return [_warned(f"{ends}: replace [certificates] ca_certificate and ca_private_key.")]
        return []

    def _renew_own(self) -> list[str]:
        """The controllers' certificate: they read it anew with their next connection."""
        pki, authority = self._pki, self._pki.controllers.open()
        reason = authority.due(pki.controller, pki.controller_name, self._validity.buffer)
        if reason is None:
            return []
        write_private(pki.controller, authority.issue(pki.controller_name, life=self._validity.life))
        return [_told(f"The controllers' certificate was renewed: {reason}.")]

    def _renew(self, host: AmphoraHost) -> tuple[Agent, list[str]]:
        placement = Placement.on(host)
        try:
            before = self._agents.credentials(placement)
            renewal, reason = (None, "") if before is None else self._wanted(host, before)
            after = before if renewal is None else self._put(placement, renewal)
        except DriverError as error:
            return Agent(host, None), [_warned(f"The certificate of {host.id} was not renewed: {error.message}")]
        if after is not None:
            moment = after.expires.astimezone(UTC).replace(tzinfo=None)
            self._database.transaction(lambda connection: hosts.record_certificate(connection, host.id, moment))
        return Agent(host, after), [] if renewal is None else [_told(f"{host.id} has new credentials: {reason}.")]

    def _wanted(self, host: AmphoraHost, now: Credentials) -> tuple[Renewal | None, str]:
        """What to send to an agent, and why; None: what it has will do."""
        authority = self._pki.agents.open()
        reason = authority.moved_on(now.issuer, now.expires, self._validity.buffer)
        trusted = set(now.trusted) == set(self._pki.controllers.trusted())
        if reason is None and trusted:
            return None, ""
        certificate = None if reason is None else authority.issue(host.id, life=self._validity.life).decode()
        # Sent along always: an agent may have its own copy.
        bundle = self._pki.controllers.trust_path.read_text()
        return Renewal(certificate=certificate, client_ca=bundle), reason or "other authorities are trusted"

    def _put(self, placement: Placement, renewal: Renewal) -> Credentials:
        """Send it, and look over a new connection whether that is what is served now. Raises DriverError."""
        promised = self._agents.renew(placement, renewal)
        served = self._agents.credentials(placement)
        if served != promised:
            raise DriverError("A new connection is not served with what the agent took.", code="not_served")
        return promised

    def _go_on(self, rollover: Rollover, unsure: list[str], users: list[str]) -> list[str]:
        """The next step of a roll-over. `unsure`: who may not know the authority that comes; `users`: who may still
        have a certificate of the one that leaves."""
        overlap, leaving = self._validity.overlap, rollover.leaving()
        if rollover.coming() is not None and rollover.since() >= overlap:
            if unsure:
                who = ", ".join(unsure)
                return [_warned(f"The new authority {rollover.name} does not sign yet: {who} may not trust it.")]
            rollover.promote()
            return [_told(f"The new authority {rollover.name} signs from now on; the earlier one is still trusted.")]
        if leaving is not None and rollover.coming() is None:
            return self._let_go(rollover, leaving, users)
        return []

    def _let_go(self, rollover: Rollover, leaving: x509.Certificate, users: list[str]) -> list[str]:
        """Drop the authority that leaves, once nobody uses it, and has not for long enough that also controllers on
        other machines, whose files we do not see, have what was renewed here."""
        unused = rollover.note_use(used=bool(users))
        if leaving.not_valid_after_utc > self._now():
            if users and rollover.since() >= 2 * self._validity.overlap:
                who = ", ".join(users)
                return [_warned(f"The earlier authority {rollover.name} is still trusted: {who} may use it.")]
            if users or unused < self._validity.overlap:
                return []
        rollover.drop()
        return [_told(f"The earlier authority {rollover.name} is trusted no more: nobody uses it.")]

    def _of_earlier(self, fleet: list[Agent]) -> list[str]:
        """Agents that may serve with a certificate of another authority than the one that signs."""
        signing = self._pki.agents.open().key_id
        return [each.host.id for each in fleet if each.credentials is None or each.credentials.issuer != signing]

    def _not_knowing(self, fleet: list[Agent]) -> list[str]:
        """Agents that may not let in controllers of an authority that is trusted."""
        trusted = set(self._pki.controllers.trusted())
        return [
            each.host.id for each in fleet if each.credentials is None or not trusted <= set(each.credentials.trusted)
        ]

    def _controllers_of_earlier(self) -> list[str]:
        pki = self._pki
        due = pki.controllers.open().due(pki.controller, pki.controller_name, timedelta(0))
        return [] if due is None else [pki.controller_name]

    def hide(self) -> None:
        """Another process looks after them."""
        self._left.hide()

    def _measure(self, fleet: list[Agent]) -> None:
        ends = {rollover.name: rollover.ends() for rollover in (self._pki.agents, self._pki.controllers)}
        ends["controller"] = expires(self._pki.controller.read_bytes())
        ends |= {each.host.id: each.credentials.expires for each in fleet if each.credentials is not None}
        self._left.show({(subject,): (end - self._now()).total_seconds() / _DAY for subject, end in ends.items()})

    def _now(self) -> datetime:
        return self._clock.now().replace(tzinfo=UTC)


def _told(sentence: str) -> str:
    log.info("certificates", reason=sentence)
    return sentence


def _warned(sentence: str) -> str:
    log.warning("certificates", reason=sentence)
    return sentence
