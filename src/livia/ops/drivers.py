"""Names of drivers in octavia.conf (contract 90, entry-point groups) to drivers of ours."""

import re
import ssl
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

from livia.core.clock import Clock
from livia.core.drivers import AmphoraDriver, ComputeDriver, NetworkDriver, Seal, SecretStore
from livia.core.rules.capabilities import AGENT_LIMITS, NO_LIMITS, Limits
from livia.drivers.amphora.agent import Agents, AgentTls
from livia.drivers.amphora.noop import NoopAmphorae
from livia.drivers.compute.host import Hosts, agent_answers
from livia.drivers.compute.noop import NoopCompute
from livia.drivers.network.local import LocalNetworks
from livia.drivers.network.noop import NoopNetworks
from livia.drivers.secrets.absent import AbsentSecrets
from livia.drivers.secrets.files import FileSecrets
from livia.drivers.secrets.local import LocalVault
from livia.drivers.secrets.noop import NoopSecrets
from livia.drivers.secrets.seal import KEY_LENGTH, KeySeal
from livia.ops.settings import SAMPLE_PASSPHRASE, Settings, SettingsError
from livia.store.engine import Database
from livia.worker.runner import Drivers

_Driver = TypeVar("_Driver")

#: a host not heard of for so many heartbeats, or seconds, gets no further amphora
_SILENT_BEATS = 3
_SILENT_SECONDS = 15.0

_AGENT = "amphora_haproxy_rest_driver"
#: the compute driver that has hosts of its own
HOSTS = "compute_host_driver"


def host_silence(settings: Settings) -> float:
    """Seconds after which a host that was not heard of counts as lost, and gets no further amphora."""
    return max(_SILENT_SECONDS, _SILENT_BEATS * settings.health.heartbeat_interval)


def _hosts(settings: Settings, database: Database) -> Hosts:
    return Hosts(database, silence=host_silence(settings), answers=agent_answers)


def _agents(settings: Settings) -> Agents:
    options = settings.agent
    for name, path in {"client_cert": options.client_cert, "server_ca": options.server_ca}.items():
        if not path.is_file():
            raise SettingsError(f"[haproxy_amphora] {name} = {path}: there is no such file.")
        _require_pem(name, path)
    return Agents(
        AgentTls(certificate=options.client_cert, server_ca=options.server_ca),
        connect_timeout=options.rest_request_conn_timeout,
        read_timeout=options.rest_request_read_timeout,
    )


def _require_pem(name: str, path: Path) -> None:
    """Raise SettingsError unless TLS can use the file of an option of [haproxy_amphora]."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if name == "client_cert":
            # A passphrase would be asked for at the terminal: there is none here.
            context.load_cert_chain(path, password="")
        else:
            context.load_verify_locations(path)
    except OSError as error:
        needed = "a certificate and its private key" if name == "client_cert" else "the certificate of an authority"
        raise SettingsError(
            f"[haproxy_amphora] {name} = {path} cannot be used ({error}): it is to be a PEM file with {needed}, which "
            "this process can read."
        ) from error


#: without the path: who mistakes the option writes the key itself there
_NO_VAULT_KEY = "The file of [certificates] vault_key is not there or damaged: its log says which."


def vault(settings: Settings, database: Database, clock: Clock) -> LocalVault:
    """The built-in secret store. Raises SettingsError."""
    return LocalVault(database, _vault_key(settings), clock)


def _vault_key(settings: Settings) -> bytes:
    path = settings.certificates.vault_key
    try:
        key = bytes.fromhex(path.read_text())
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"[certificates] vault_key = {path} cannot be read ({error}): restore it.", public=_NO_VAULT_KEY
        ) from error
    if len(key) != KEY_LENGTH:
        raise SettingsError(
            f"[certificates] vault_key = {path} has {len(key)} bytes instead of {KEY_LENGTH}: restore it.",
            public=_NO_VAULT_KEY,
        )
    return key


def seal(settings: Settings) -> Seal:
    """What keeps the key material of load balancers in the database. Raises SettingsError."""
    return KeySeal(*map(_sealing_key, _sealing_secrets(settings)))


def _sealing_secrets(settings: Settings) -> list[bytes]:
    """The first seals, any opens: the vault's where there is one, and those that the operator gave."""
    given = settings.certificates.server_certs_key_passphrase
    wrong = next((number for number, each in enumerate(given, 1) if not _PASSPHRASE.fullmatch(each)), 0)
    if wrong or not given:
        raise SettingsError(
            "[certificates] server_certs_key_passphrase is a list of texts of exactly 32 characters, each a letter, "
            f"a digit or one of - _ =: {f'number {wrong} is not' if given else 'it is empty'}."
        )
    if settings.certificates.cert_manager != VAULT:
        return [each.encode() for each in given]
    # What everybody can seal would open the door to others' material.
    return [_vault_key(settings), *(each.encode() for each in given if each != SAMPLE_PASSPHRASE)]


def _sealing_key(secret: bytes) -> bytes:
    """A key of its own for each purpose of a secret (RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=KEY_LENGTH, salt=None, info=b"livia bound material").derive(secret)


_NETWORK: dict[str, Callable[[Settings, Database, Clock], NetworkDriver]] = {
    "network_local_driver": lambda _settings, database, clock: LocalNetworks(database, clock),
    "network_noop_driver": lambda _settings, _database, _clock: NoopNetworks(),
}
_COMPUTE: dict[str, Callable[[Settings, Database], ComputeDriver]] = {
    HOSTS: _hosts,
    "compute_noop_driver": lambda _settings, _database: NoopCompute(),
}
_AMPHORA: dict[str, Callable[[Settings], AmphoraDriver]] = {
    _AGENT: _agents,
    "amphora_noop_driver": lambda _settings: NoopAmphorae(),
}
#: the name of the built-in secret store
VAULT = "local_vault"
_FILES = "local_cert_manager"
#: key managers of a cloud, the contract's default among them: who serves no TLS needs none
_CLOUD_SECRETS = frozenset({"barbican_cert_manager", "castellan_cert_manager"})


def _absent(settings: Settings, _database: Database, _clock: Clock) -> SecretStore:
    return AbsentSecrets(settings.certificates.cert_manager)


#: contract 90, [certificates] server_certs_key_passphrase
_PASSPHRASE = re.compile(r"[A-Za-z0-9_=-]{32}")


_SECRETS: dict[str, Callable[[Settings, Database, Clock], SecretStore]] = {
    VAULT: vault,
    _FILES: lambda settings, _database, _clock: FileSecrets(settings.certificates.storage_path),
    "noop_cert_manager": lambda _settings, _database, _clock: NoopSecrets(),
    **dict.fromkeys(_CLOUD_SECRETS, _absent),
}


class _Option(Struct, frozen=True):
    """An option that names a driver: its section, what it says, and the drivers it can name."""

    section: str
    said: Callable[[Settings], str]
    choices: Mapping[str, Callable[..., Any]]


_OPTIONS = {
    "network_driver": _Option("controller_worker", lambda settings: settings.controller.network_driver, _NETWORK),
    "compute_driver": _Option("controller_worker", lambda settings: settings.controller.compute_driver, _COMPUTE),
    "amphora_driver": _Option("controller_worker", lambda settings: settings.controller.amphora_driver, _AMPHORA),
    "cert_manager": _Option("certificates", lambda settings: settings.certificates.cert_manager, _SECRETS),
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


def secrets(settings: Settings, database: Database, clock: Clock) -> SecretStore:
    """The driver of `cert_manager`. Raises SettingsError."""
    return _chosen(settings, "cert_manager", _SECRETS)(settings, database, clock)


def far_sides(settings: Settings, database: Database, clock: Clock) -> Drivers:
    """All that a worker acts through. Raises SettingsError."""
    return Drivers(
        network=network(settings, database, clock),
        compute=compute(settings, database),
        amphorae=amphorae(settings),
        secrets=secrets(settings, database, clock),
        seal=seal(settings),
    )


def about_secrets(settings: Settings) -> list[str]:
    """Warnings where requests that name secrets will be refused, or where everybody can open what is kept of them."""
    name = settings.certificates.cert_manager
    if name not in _CLOUD_SECRETS:
        if name != _FILES or settings.certificates.server_certs_key_passphrase[:1] != (SAMPLE_PASSPHRASE,):
            return []
        return [
            "[certificates] server_certs_key_passphrase is not set, and its default is known to everybody: who reads "
            "the database reads the private keys of load balancers. Set 32 characters of your own, e.g. of: "
            "openssl rand -hex 16"
        ]
    return [
        f"[certificates] cert_manager = {name} is not available yet: requests that name certificates or keys are "
        f"refused. Those of {_offered(_SECRETS)} can be used."
    ]


def limits(settings: Settings) -> Limits:
    """What the data plane behind `amphora_driver` cannot do. Raises SettingsError."""
    _chosen(settings, "amphora_driver", _AMPHORA)
    return AGENT_LIMITS if settings.controller.amphora_driver == _AGENT else NO_LIMITS


def problems(settings: Settings, options: Collection[str] = tuple(_OPTIONS)) -> list[str]:
    """A sentence for each of these options that names a driver that we do not have, or cannot open."""
    found = []
    for option in options:
        try:
            _chosen(settings, option, _OPTIONS[option].choices)
            if option == "cert_manager":
                seal(settings)
        except SettingsError as error:
            found.append(str(error))
    return found


def _chosen(settings: Settings, option: str, choices: Mapping[str, _Driver]) -> _Driver:
    name = _OPTIONS[option].said(settings)
    if name not in choices:
        section = _OPTIONS[option].section
        raise SettingsError(f"[{section}] {option} = {name} is not available yet: use {_offered(choices)}.")
    return choices[name]


def _offered(choices: Collection[str]) -> str:
    return " or ".join(sorted(set(choices) - _CLOUD_SECRETS))
