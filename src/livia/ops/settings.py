"""Configuration sections as frozen structs; names, units and defaults are those of contract 90.

`livia.ops.octavia_conf` reads them. `[livia]` holds what the incumbent has no name for.
"""

import os
from pathlib import Path

from msgspec import Struct, field

from livia.core.spec import STICK_SIZE, is_stick_size
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
    failovers. `sock_rlimit`: bytes of the receive queue; 0: as many as a burst needs. `controller_ip_port_list`: the
    health managers that an `amphora-agent` sends to, in turn.
    """

    bind_ip: str = "127.0.0.1"
    bind_port: int = 5555
    controller_ip_port_list: tuple[str, ...] = ()
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

    `haproxy_stick_size`: entries of each stick table, as HAProxy writes it. `bind_host`, `base_path`, `haproxy_cmd`: of
    an `amphora-agent`: where it listens, what it keeps its amphorae in, and what serves in them.
    """

    bind_host: str = "::"
    bind_port: int = 9443
    base_path: Path = Path("/var/lib/octavia")
    haproxy_cmd: Path = Path("/usr/sbin/haproxy")
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


class AmphoraAgentSettings(Struct, frozen=True, kw_only=True):
    """What an `amphora-agent` presents to controllers, a PEM file with its key, and the authority of theirs."""

    agent_server_ca: Path = Path("/etc/octavia/certs/client_ca.pem")
    agent_server_cert: Path = Path("/etc/octavia/certs/server.pem")


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

    `host_capacity`: amphorae that an amphora host takes. `host_name`, `host_address`, `host_zone`: of the host of an
    `amphora-agent`: its name in its certificate, where controllers reach it, its zone. `bridges_of`: the state
    directory of another agent of the same machine, whose bridges it uses; empty: it has its own.
    `reconcile_threads`: load balancers worked on at once.
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
    host_name: str = ""
    host_address: str = ""
    host_zone: str = ""
    bridges_of: str = ""
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
    """Everything, by who reads it; `octavia_conf.READERS` says where octavia.conf has it.

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
    amphora_agent: AmphoraAgentSettings = AmphoraAgentSettings()
    certificates: CertificateSettings = field(default_factory=CertificateSettings)
    livia: LiviaSettings = LiviaSettings()
    directories: tuple[Path, ...] = ()


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
