"""Names of drivers in octavia.conf (contract 90, entry-point groups) to drivers of ours."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from livia.core.clock import Clock
from livia.core.drivers import AmphoraDriver, ComputeDriver, NetworkDriver
from livia.core.rules.capabilities import AGENT_LIMITS, NO_LIMITS, Limits
from livia.drivers.amphora.agent import Agents, AgentTls
from livia.drivers.amphora.noop import NoopAmphorae
from livia.drivers.compute.host import Hosts
from livia.drivers.compute.noop import NoopCompute
from livia.drivers.network.local import LocalNetworks
from livia.drivers.network.noop import NoopNetworks
from livia.ops.settings import Settings, SettingsError
from livia.store.engine import Database

_Driver = TypeVar("_Driver")

#: a host not heard of for so many heartbeats, or seconds, gets no further amphora
_SILENT_BEATS = 3
_SILENT_SECONDS = 15.0

_AGENT = "amphora_haproxy_rest_driver"


def _hosts(settings: Settings, database: Database) -> Hosts:
    beat = settings.health.heartbeat_interval
    return Hosts(database, silence=max(_SILENT_SECONDS, _SILENT_BEATS * beat))


def _agents(settings: Settings) -> Agents:
    options = settings.agent
    for name, path in {"client_cert": options.client_cert, "server_ca": options.server_ca}.items():
        if not path.is_file():
            raise SettingsError(f"[haproxy_amphora] {name} = {path}: there is no such file.")
    return Agents(
        AgentTls(certificate=options.client_cert, server_ca=options.server_ca),
        connect_timeout=options.rest_request_conn_timeout,
        read_timeout=options.rest_request_read_timeout,
    )


_NETWORK: dict[str, Callable[[Settings, Database, Clock], NetworkDriver]] = {
    "network_local_driver": lambda _settings, database, clock: LocalNetworks(database, clock),
    "network_noop_driver": lambda _settings, _database, _clock: NoopNetworks(),
}
_COMPUTE: dict[str, Callable[[Settings, Database], ComputeDriver]] = {
    "compute_host_driver": _hosts,
    "compute_noop_driver": lambda _settings, _database: NoopCompute(),
}
_AMPHORA: dict[str, Callable[[Settings], AmphoraDriver]] = {
    _AGENT: _agents,
    "amphora_noop_driver": lambda _settings: NoopAmphorae(),
}
#: option of [controller_worker] to the drivers it can name
_CHOICES: dict[str, Mapping[str, Callable[..., Any]]] = {
    "network_driver": _NETWORK,
    "compute_driver": _COMPUTE,
    "amphora_driver": _AMPHORA,
}


def network(settings: Settings, database: Database, clock: Clock) -> NetworkDriver:
    """The driver of `network_driver`. Raises SettingsError."""
    return _chosen(settings, "network_driver", _NETWORK)(settings, database, clock)


def compute(settings: Settings, database: Database) -> ComputeDriver:
    """The driver of `compute_driver`. Raises SettingsError."""
    return _chosen(settings, "compute_driver", _COMPUTE)(settings, database)


def amphorae(settings: Settings) -> AmphoraDriver:
    """The driver of `amphora_driver`. Raises SettingsError."""
    return _chosen(settings, "amphora_driver", _AMPHORA)(settings)


def limits(settings: Settings) -> Limits:
    """What the data plane behind `amphora_driver` cannot do. Raises SettingsError."""
    _chosen(settings, "amphora_driver", _AMPHORA)
    return AGENT_LIMITS if settings.controller.amphora_driver == _AGENT else NO_LIMITS


def problems(settings: Settings, options: Collection[str] = tuple(_CHOICES)) -> list[str]:
    """A sentence for each of these options of [controller_worker] that names a driver that we do not have."""
    found = []
    for option in options:
        try:
            _chosen(settings, option, _CHOICES[option])
        except SettingsError as error:
            found.append(str(error))
    return found


def _chosen(settings: Settings, option: str, choices: Mapping[str, _Driver]) -> _Driver:
    name: str = getattr(settings.controller, option)
    if name not in choices:
        offered = " or ".join(sorted(choices))
        raise SettingsError(f"[controller_worker] {option} = {name} is not available yet: use {offered}.")
    return choices[name]
