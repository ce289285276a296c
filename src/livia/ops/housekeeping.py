"""Which jobs the house does, made from settings."""

from datetime import timedelta
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from livia.core.clock import Clock
from livia.core.drivers import AgentDriver, AmphoraDriver, PlacementPreview
from livia.core.wake import Wake
from livia.house.apart import Apart
from livia.house.certificates import Certificates, Pki, Validity
from livia.house.drift import Drift
from livia.house.orphans import Orphans
from livia.house.purge import Purge
from livia.house.runner import Job
from livia.house.spares import Spares
from livia.house.stuck import Unattended
from livia.ops import drivers, state
from livia.ops.settings import Settings, SettingsError
from livia.pki.authority import AuthorityError
from livia.pki.supplied import SuppliedFiles
from livia.store.engine import Database

log = structlog.get_logger()

_MINUTE = 60.0

#: an authority lasts ten years: its successor is made half a year before
_AUTHORITY_BUFFER = timedelta(days=180)


def jobs(
    settings: Settings, database: Database, clock: Clock, wake: Wake, registry: CollectorRegistry
) -> tuple[Job, ...]:
    """Every job of the house that the settings allow; what they do not is told."""
    found = [
        _purge(settings, database, clock, registry),
        Unattended(database, clock, wake, registry, interval=settings.livia.unattended_check_interval),
    ]
    if settings.controller.compute_driver == drivers.HOSTS:
        found.append(_spares(settings, database, clock, registry))
    elif settings.house.spare_amphora_pool_size:
        log.warning(
            "no spares are kept",
            reason=f"[house_keeping] spare_amphora_pool_size = {settings.house.spare_amphora_pool_size} has no effect "
            f"with [controller_worker] compute_driver = {settings.controller.compute_driver}: only {drivers.HOSTS} has "
            "hosts to keep spares on.",
        )
    found += _apart(settings, database, clock, wake)
    problems = drivers.problems(settings, ("network_driver", "compute_driver", "amphora_driver"))
    try:
        if problems:
            raise SettingsError(" ".join(problems))
        agents = drivers.amphorae(settings)
    except SettingsError as error:
        # What only concerns the database is done without them.
        log.warning("the house does nothing about amphorae, ports and certificates", reason=str(error))
        return tuple(found)
    found.append(_orphans(settings, database, clock, agents, registry))
    if settings.livia.drift_checks_per_minute > 0:
        found.append(_drift(settings, database, clock, agents, wake, registry))
    return (*found, *_certificates(settings, database, clock, agents, registry))


def _spares(settings: Settings, database: Database, clock: Clock, registry: CollectorRegistry) -> Job:
    options = settings.house
    size, interval = options.spare_amphora_pool_size, options.spare_check_interval
    return Spares(database, clock, registry, interval=interval, size=size, silence=drivers.host_silence(settings))


def _apart(settings: Settings, database: Database, clock: Clock, wake: Wake) -> tuple[Job, ...]:
    """What a compute driver does that cannot tell where amphorae are together is its own affair."""
    if drivers.problems(settings, ("compute_driver",)):
        return ()
    compute, heard = drivers.compute(settings, database), settings.health.heartbeat_timeout
    if not isinstance(compute, PlacementPreview):
        return ()
    return (Apart(database, clock, compute, wake, interval=_MINUTE, heard=heard),)


def _orphans(
    settings: Settings, database: Database, clock: Clock, agents: AmphoraDriver, registry: CollectorRegistry
) -> Job:
    network, options = drivers.network(settings, database, clock), settings.livia
    interval, grace = options.orphan_check_interval, options.orphan_grace
    return Orphans(database, clock, network, agents, registry, interval=interval, grace=grace)


def _drift(
    settings: Settings,
    database: Database,
    clock: Clock,
    agents: AmphoraDriver,
    wake: Wake,
    registry: CollectorRegistry,
) -> Job:
    compute, most = drivers.compute(settings, database), settings.livia.drift_checks_per_minute
    return Drift(database, clock, compute, agents, wake, registry, interval=_MINUTE, most=most)


def _purge(settings: Settings, database: Database, clock: Clock, registry: CollectorRegistry) -> Job:
    options = settings.house
    return Purge(
        database,
        clock,
        registry,
        interval=options.cleanup_interval,
        amphora_age=options.amphora_expiry_age,
        load_balancer_age=options.load_balancer_expiry_age,
        event_age=settings.livia.event_expiry_age,
    )


def _certificates(
    settings: Settings, database: Database, clock: Clock, agents: AmphoraDriver, registry: CollectorRegistry
) -> tuple[Job, ...]:
    if not settings.certificates.pki_directory or not isinstance(agents, AgentDriver):
        return ()
    directory = Path(settings.certificates.pki_directory)
    pki = Pki(
        agents=state.agents_authority(directory, clock, supplied(settings)),
        controllers=state.controllers_authority(directory, clock),
        controller=settings.agent.client_cert,
        controller_name=state.CONTROLLER_NAME,
    )
    interval = settings.house.cert_interval
    return (Certificates(database, clock, agents, pki, validity(settings), registry, interval=interval),)


def supplied(settings: Settings) -> SuppliedFiles | None:
    """The authority of agents that the operator names. Raises AuthorityError."""
    options = settings.certificates
    names = {"ca_certificate": options.ca_certificate, "ca_private_key": options.ca_private_key}
    missing = [name for name, value in names.items() if not value]
    if len(missing) == len(names):
        return None
    for name in missing:
        raise AuthorityError(f"[certificates] {name} is not set: ca_certificate and ca_private_key need each other.")
    return SuppliedFiles(
        certificate=Path(options.ca_certificate),
        private_key=Path(options.ca_private_key),
        passphrase=options.ca_private_key_passphrase,
    )


def usable_authority(settings: Settings, clock: Clock) -> SuppliedFiles | None:
    """`supplied`, read once to know that it can be used. Raises AuthorityError."""
    files = supplied(settings)
    if files is not None:
        files.read(clock)
    return files


def validity(settings: Settings) -> Validity:
    """How long certificates last, and when they are renewed: never before half their life."""
    life = timedelta(seconds=settings.certificates.cert_validity_time)
    buffer = timedelta(seconds=settings.house.cert_expiry_buffer)
    return Validity(
        life=life,
        buffer=min(buffer, life / 2),
        authority_buffer=_AUTHORITY_BUFFER,
        overlap=timedelta(seconds=settings.house.cert_interval),
    )
