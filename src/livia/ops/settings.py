"""Configuration sections as frozen structs; names, units and defaults are those of contract 90.

`load` reads octavia.conf files through oslo.config. `[livia]` holds what the incumbent has no name for.
"""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import msgspec
from msgspec import Struct, field

from livia.core.spec import STICK_SIZE, is_stick_size
from livia.ops import known
from livia.services.settings import AccessSettings, ApiSettings, CorsSettings, HealthcheckSettings, PolicySettings


class SettingsError(Exception):
    """A configuration file cannot be used; the message is a sentence for its author.

    `public`: what anybody may read of it, who calls the API included. It quotes nothing of any file.
    """

    def __init__(self, sentence: str, *, public: str = "Its log tells of a setting that cannot be used.") -> None:
        super().__init__(sentence)
        self.public = public


class CommonSettings(Struct, frozen=True, kw_only=True):
    """`host`: the name of this controller; empty: the machine's. Logs go to `log_file`, in `log_dir`, or to stderr."""

    host: str = ""
    debug: bool = False
    use_json: bool = False
    log_file: str = ""
    log_dir: str = ""
    transport_url: str = ""


class ServerSettings(Struct, frozen=True, kw_only=True):
    """Where the API listens."""

    bind_host: str = "127.0.0.1"
    bind_port: int = 9876


class DatabaseSettings(Struct, frozen=True, kw_only=True):
    """`connection`: a database URL; empty: SQLite in the state directory."""

    connection: str = ""
    max_pool_size: int = 10


class HealthSettings(Struct, frozen=True, kw_only=True):
    """Seconds. `heartbeat_key` empty: one made at first start and kept in the state directory.

    `failover_threads`: agents asked at once whether they live. `failover_threshold`: so many silent amphorae stop
    failovers. `sock_rlimit`: bytes of the receive queue; 0: as many as a burst needs.
    """

    bind_ip: str = "127.0.0.1"
    bind_port: int = 5555
    heartbeat_key: str = ""
    heartbeat_timeout: float = 60.0
    heartbeat_interval: float = 10.0
    health_check_interval: float = 3.0
    failover_threads: int = 10
    failover_threshold: int | None = None
    sock_rlimit: int = 0


class HouseSettings(Struct, frozen=True, kw_only=True):
    """Seconds; `spare_amphora_pool_size`: amphorae that are kept ready."""

    cert_expiry_buffer: float = 1209600.0
    cert_interval: float = 3600.0
    cleanup_interval: float = 30.0
    amphora_expiry_age: float = 604800.0
    load_balancer_expiry_age: float = 604800.0
    spare_amphora_pool_size: int = 0
    spare_check_interval: float = 30.0


class ControllerSettings(Struct, frozen=True, kw_only=True):
    """Names of drivers, by `livia.ops.drivers`."""

    amphora_driver: str = "amphora_haproxy_rest_driver"
    compute_driver: str = "compute_nova_driver"
    network_driver: str = "allowed_address_pairs_driver"


class AgentSettings(Struct, frozen=True, kw_only=True):
    """How controllers reach agents; timeouts in seconds. Files are PEM: our certificate with key, the agents' CA.

    `haproxy_stick_size`: entries of each stick table, as HAProxy writes it.
    """

    bind_port: int = 9443
    client_cert: Path = Path("/etc/octavia/certs/client.pem")
    server_ca: Path = Path("/etc/octavia/certs/server_ca.pem")
    rest_request_conn_timeout: float = 10.0
    rest_request_read_timeout: float = 60.0
    haproxy_stick_size: str = STICK_SIZE

    def __post_init__(self) -> None:
        if not is_stick_size(self.haproxy_stick_size):
            raise SettingsError(
                f"[haproxy_amphora] haproxy_stick_size = {self.haproxy_stick_size!r}: it is a number of entries, 1 or "
                "more, in units of 1024 with k, m or g behind it, and below 4g."
            )


#: what contract 90 has as the default of [certificates] server_certs_key_passphrase: everybody knows it
SAMPLE_PASSPHRASE = "insecure-key-do-not-use-this-key"  # noqa: S105 - the point is that it is none


class CertificateSettings(Struct, frozen=True, kw_only=True):
    """Where the key material of listeners and pools is: `cert_manager` names a driver, by `livia.ops.drivers`.

    `storage_path`: the directory of `local_cert_manager`. `vault_key`: a file with what `local_vault` seals secrets
    with, 32 bytes in hexadecimal; `livia up` has it in its state directory. `server_certs_key_passphrase`: what seals
    the material of load balancers where that key does not; the first seals, any opens. `cert_validity_time`: seconds
    that certificates of agents and controllers last. `pki_directory`: where the built-in authorities are that sign
    them; empty: somebody else renews them. `ca_certificate`, `ca_private_key`: PEM files of the authority that signs
    what agents present; empty: one is made.
    """

    cert_manager: str = "barbican_cert_manager"
    cert_validity_time: float = 2592000.0
    storage_path: Path = field(
        default_factory=lambda: Path(os.environ.get("OS_OCTAVIA_TLS_STORAGE", "/var/lib/octavia/certificates/"))
    )
    vault_key: Path = Path("/etc/octavia/vault.key")
    pki_directory: str = ""
    ca_certificate: str = field(default_factory=lambda: os.environ.get("OS_OCTAVIA_TLS_CA_CERT", ""))
    ca_private_key: str = field(default_factory=lambda: os.environ.get("OS_OCTAVIA_TLS_CA_KEY", ""))
    ca_private_key_passphrase: str = field(default_factory=lambda: os.environ.get("OS_OCTAVIA_CA_KEY_PASS", ""))
    server_certs_key_passphrase: tuple[str, ...] = field(
        default_factory=lambda: (os.environ.get("TLS_PASS_AMPS_DEFAULT", SAMPLE_PASSPHRASE),)
    )


class LiviaSettings(Struct, frozen=True, kw_only=True):
    """`advert_interval`: seconds between VRRP adverts. `deadline`: seconds until an unfinished change shows ERROR.

    `host_capacity`: amphorae that the embedded host takes. `reconcile_threads`: load balancers worked on at once.
    `drift_checks_per_minute`: amphorae compared with what they confirmed; 0: none. `orphan_check_interval`: seconds
    between two looks for what nobody owns; `orphan_grace`: seconds that it is known before it is removed.
    `unattended_check_interval`: seconds between two looks for what is PENDING with nobody at it.
    `event_expiry_age`: seconds that events are kept, those of deleted load balancers no longer than these.
    `wake_socket`: the directory where workers hear at once of a change by an API of the same machine, and where each
    has its seat; empty: one a database.
    `metrics_host`, `metrics_port`: where the API answers scrapes; worker, health manager, housekeeping and canary on
    the four ports that follow. 0: nowhere.
    `canary_interval`: seconds between two canaries of `livia up`; 0: none. `canary_network`: for their VIPs; empty: one
    of their own. `canary_user`, `canary_password`: who they are where users log in, of the project `canary_project`.
    """

    advert_interval: float = 0.1
    deadline: float = 300.0
    drift_checks_per_minute: int = 60
    event_expiry_age: float = 2592000.0
    host_capacity: int = 1000
    orphan_check_interval: float = 300.0
    orphan_grace: float = 600.0
    reconcile_threads: int = 4
    unattended_check_interval: float = 30.0
    wake_socket: str = ""
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 9880
    canary_interval: float = 0.0
    canary_network: str = ""
    canary_project: str = "livia-canary"
    canary_user: str = "livia-canary"
    canary_password: str = ""


class Settings(Struct, frozen=True, kw_only=True):
    """Everything, by who reads it; `READERS` says where octavia.conf has it.

    `directories`: where further files of the configuration are looked for, the first one first.
    """

    common: CommonSettings = CommonSettings()
    server: ServerSettings = ServerSettings()
    api: ApiSettings = ApiSettings()
    access: AccessSettings = AccessSettings()
    policy: PolicySettings = PolicySettings()
    cors: CorsSettings = CorsSettings()
    healthcheck: HealthcheckSettings = HealthcheckSettings()
    database: DatabaseSettings = DatabaseSettings()
    health: HealthSettings = HealthSettings()
    house: HouseSettings = HouseSettings()
    controller: ControllerSettings = ControllerSettings()
    agent: AgentSettings = AgentSettings()
    certificates: CertificateSettings = field(default_factory=CertificateSettings)
    livia: LiviaSettings = LiviaSettings()
    directories: tuple[Path, ...] = ()


#: section of octavia.conf to the fields of `Settings` that read it
READERS = {
    "DEFAULT": ("common",),
    "api_settings": ("server", "access", "api"),
    "oslo_middleware": ("api",),
    "oslo_policy": ("policy",),
    "cors": ("cors",),
    "healthcheck": ("healthcheck",),
    "quotas": ("api",),
    "networking": ("api",),
    "controller_worker": ("controller", "api"),
    "haproxy_amphora": ("agent", "api"),
    "database": ("database",),
    "health_manager": ("health",),
    "house_keeping": ("house",),
    "certificates": ("certificates",),
    "livia": ("livia",),
}

#: options of `ApiSettings` to their section, where that is not [api_settings]
_ELSEWHERE = {
    **dict.fromkeys(("max_request_body_size", "enable_proxy_headers_parsing"), "oslo_middleware"),
    **dict.fromkeys(("allow_vip_network_id", "allow_vip_subnet_id", "allow_vip_port_id"), "networking"),
    **dict.fromkeys(("valid_vip_networks", "denylist_vip_networks", "reserved_ips"), "networking"),
    **dict.fromkeys((name for name in ApiSettings.__struct_fields__ if name.endswith("_quota")), "quotas"),
    **dict.fromkeys((name for name in ApiSettings.__struct_fields__ if name.startswith("timeout_")), "haproxy_amphora"),
    "loadbalancer_topology": "controller_worker",
}

#: the least that an option takes: with less a loop would have no pause, or a service no thread
_LEAST = {
    "haproxy_amphora": {"rest_request_conn_timeout": 0.1, "rest_request_read_timeout": 0.1},
    "health_manager": {
        "failover_threads": 1.0,
        "failover_threshold": 0.0,
        "health_check_interval": 0.1,
        "heartbeat_interval": 0.1,
        "heartbeat_timeout": 0.1,
    },
    "house_keeping": {
        "amphora_expiry_age": 0.0,
        "cert_expiry_buffer": 0.0,
        "cert_interval": 1.0,
        "cleanup_interval": 1.0,
        "load_balancer_expiry_age": 0.0,
        "spare_amphora_pool_size": 0.0,
        "spare_check_interval": 1.0,
    },
    "livia": {
        "advert_interval": 0.01,
        "canary_interval": 0.0,
        "deadline": 1.0,
        "drift_checks_per_minute": 0.0,
        "event_expiry_age": 0.0,
        "host_capacity": 0.0,
        "orphan_check_interval": 1.0,
        "orphan_grace": 0.0,
        "reconcile_threads": 1.0,
        "unattended_check_interval": 1.0,
    },
}

#: so many heartbeats may be expected of an amphora before it is suspected
_BEATS = 3

#: options that may be given several times, each time with a further value
_REPEATED = frozenset({("oslo_policy", "policy_dirs")})

#: as oslo.config spells them
_BOOLEANS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}

#: what `livia up` starts from: highly available, and quick to notice on one machine
EMBEDDED = Settings(
    api=ApiSettings(loadbalancer_topology="ACTIVE_STANDBY"),
    controller=ControllerSettings(compute_driver="compute_host_driver", network_driver="network_local_driver"),
    access=AccessSettings(auth_strategy="noauth"),
    healthcheck=HealthcheckSettings(backends=("octavia_db_check",)),
    health=HealthSettings(heartbeat_interval=1.0, heartbeat_timeout=5.0, health_check_interval=0.5),
    certificates=CertificateSettings(cert_manager="local_vault"),
)

#: what `octavia-api` and its like start from: the defaults of contract 90
CONTRACT = Settings(api=ApiSettings(default_project=None))


def load(files: Sequence[Path], base: Settings = EMBEDDED) -> tuple[Settings, list[str]]:
    """Settings from `files` over `base`, and what to tell their author: of options without effect, and of unknown ones.

    Raises SettingsError for a file that cannot be read and for a value that its option does not take.
    """
    warnings: list[str] = []
    changed: dict[str, dict[str, Any]] = {}
    for section, options in _parse(files).items():
        if section not in READERS:
            warnings += known.about_section(section, READERS)
            continue
        readable, unread = options_of(section), []
        for name, given in options.items():
            option = known.RENAMED.get((section, name), name)
            if option not in readable:
                unread.append(option)
                continue
            reader, kind = readable[option]
            text = ",".join(given) if (section, option) in _REPEATED else given[-1]
            changed.setdefault(reader, {})[option] = _value(section, option, text, kind)
        warnings += known.about_options(section, unread, readable)
    parts = {name: msgspec.structs.replace(getattr(base, name), **values) for name, values in changed.items()}
    settings = msgspec.structs.replace(base, directories=_directories(files), **parts)
    return settings, [*warnings, *_about_heartbeats(settings.health)]


def _about_heartbeats(health: HealthSettings) -> list[str]:
    """Warned of and not refused: agents have an interval of their own, which may be another than this file's."""
    timeout, interval = health.heartbeat_timeout, health.heartbeat_interval
    if timeout >= _BEATS * interval:
        return []
    if timeout <= interval:
        outcome = "every amphora is suspected between any two heartbeats, and asked whether it lives"
    else:
        outcome = "an amphora is suspected when a heartbeat or two of it are lost"
    return [
        f"[health_manager] heartbeat_timeout = {timeout:g} is less than three times heartbeat_interval = {interval:g}: "
        f"{outcome}."
    ]


def _directories(files: Sequence[Path]) -> tuple[Path, ...]:
    """Those of the files, the last one first, and then where OpenStack's services look (contract 90, section 0)."""
    own = [path.absolute().parent for path in reversed(files)]
    return tuple(dict.fromkeys([*own, Path.home() / ".octavia", Path.home(), Path("/etc/octavia"), Path("/etc")]))


def _parse(files: Sequence[Path]) -> dict[str, dict[str, list[str]]]:
    if not files:
        return {}
    from oslo_config import cfg  # half of the start-up time, and mostly not needed

    merged: dict[str, dict[str, list[str]]] = {}
    for path in files:
        sections: dict[str, dict[str, list[str]]] = {}
        try:
            cfg.ConfigParser(str(path), sections).parse()
        except (OSError, cfg.ParseError) as error:
            raise SettingsError(f"The configuration file {path} cannot be read: {error}") from error
        for section, options in sections.items():
            merged.setdefault(section, {}).update(options)
    return merged


def options_of(section: str) -> dict[str, tuple[str, Any]]:
    """What is read of a section: option to the field of `Settings` that has it, and its type."""
    return {
        option: (reader, kind)
        for reader in reversed(READERS[section])
        for option, kind in get_type_hints(get_type_hints(Settings)[reader]).items()
        if reader != "api" or _ELSEWHERE.get(option, "api_settings") == section
    }


def _value(section: str, option: str, text: str, kind: Any) -> object:
    """One option's value: lists by commas, dicts as key:value by commas (contract 90)."""
    origin = get_origin(kind)
    if origin is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if origin is dict:
        pairs = (part.partition(":") for part in text.split(",") if part.strip())
        return {key.strip(): value.strip() for key, _, value in pairs}
    if kind is Path:
        return Path(text.strip())
    plain: object = text.strip()
    if kind is bool:
        plain = _BOOLEANS.get(text.strip().lower(), plain)
    try:
        value: object = msgspec.convert(plain, kind, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"[{section}] {option} = {text!r}: {error}.") from error
    least = _LEAST.get(section, {}).get(option)
    # What is no number at all (nan) is not between these, either.
    if least is not None and isinstance(value, (int, float)) and not least <= value < math.inf:
        raise SettingsError(f"[{section}] {option} = {text!r}: it is {least:g} or more.")
    return value
