"""The settings that requests depend on, by their names in contract 90 (sections given at each group)."""

from typing import Literal

from msgspec import Struct, field

from livia.core.rules.tls import DEFAULT_ALPN, DEFAULT_CIPHERS, DEFAULT_VERSIONS


class ApiSettings(Struct, frozen=True, kw_only=True):
    """What an operator can set about the API."""

    # [api_settings]
    allow_pagination: bool = True
    allow_sorting: bool = True
    allow_filtering: bool = True
    allow_field_selection: bool = True
    #: a number, or `infinite`; negative numbers also mean no limit
    pagination_max_limit: str = "1000"
    api_base_uri: str | None = None
    allow_tls_terminated_listeners: bool = True
    allow_ping_health_monitors: bool = True
    allow_prometheus_listeners: bool = True
    enabled_provider_drivers: dict[str, str] = field(
        default_factory=lambda: {
            "amphora": "The Octavia Amphora driver.",
            "octavia": "Deprecated alias of the Octavia Amphora driver.",
        }
    )
    default_provider_driver: str = "amphora"
    udp_connect_min_interval_health_monitor: int = 3
    healthcheck_enabled: bool = False
    #: seconds
    healthcheck_refresh_interval: int = 5
    default_listener_ciphers: str = DEFAULT_CIPHERS
    default_pool_ciphers: str = DEFAULT_CIPHERS
    tls_cipher_prohibit_list: str = ""
    default_listener_tls_versions: tuple[str, ...] = DEFAULT_VERSIONS
    default_pool_tls_versions: tuple[str, ...] = DEFAULT_VERSIONS
    minimum_tls_version: str | None = None
    default_listener_alpn_protocols: tuple[str, ...] = DEFAULT_ALPN
    default_pool_alpn_protocols: tuple[str, ...] = DEFAULT_ALPN
    #: ours (design, section 5): 409 for every write while a change is under way
    immutable_while_pending: bool = False
    #: ours: the project of requests without one where nobody authenticates; None: such a create is a 400
    default_project: str | None = "default"
    #: ours: where the service is also reachable below the root, e.g. http://host/load-balancer
    mount_prefix: str = "/load-balancer"

    # [oslo_middleware]
    #: bytes
    max_request_body_size: int = 114688
    enable_proxy_headers_parsing: bool = False

    # [quotas]; -1: unlimited
    default_load_balancer_quota: int = -1
    default_listener_quota: int = -1
    default_pool_quota: int = -1
    default_member_quota: int = -1
    default_health_monitor_quota: int = -1
    default_l7policy_quota: int = -1
    default_l7rule_quota: int = -1

    # [networking]
    allow_vip_network_id: bool = True
    allow_vip_subnet_id: bool = True
    allow_vip_port_id: bool = True
    valid_vip_networks: tuple[str, ...] = ()
    denylist_vip_networks: tuple[str, ...] = ()
    reserved_ips: tuple[str, ...] = ("169.254.169.254",)

    # [controller_worker]
    #: SINGLE or ACTIVE_STANDBY
    loadbalancer_topology: str = "SINGLE"

    # [haproxy_amphora]; milliseconds
    timeout_client_data: int = 50000
    timeout_member_connect: int = 5000
    timeout_member_data: int = 50000
    timeout_tcp_inspect: int = 0


class AccessSettings(Struct, frozen=True, kw_only=True):
    """Who the caller is: [api_settings]."""

    auth_strategy: Literal["keystone", "noauth", "testing", "http_basic"] = "keystone"
    #: ours: the htpasswd file of `http_basic`; empty: `users` in the state directory
    http_basic_user_file: str = ""


class PolicySettings(Struct, frozen=True, kw_only=True):
    """What a caller may do: [oslo_policy]. Relative names are looked for where configuration files are."""

    policy_file: str = "policy.yaml"
    policy_dirs: tuple[str, ...] = ("policy.d",)
    policy_default_rule: str = "default"
    enforce_new_defaults: bool = True


class CorsSettings(Struct, frozen=True, kw_only=True):
    """Which pages of other origins browsers let use the API: [cors]. `max_age` in seconds."""

    allowed_origin: tuple[str, ...] = ()
    allow_credentials: bool = True
    expose_headers: tuple[str, ...] = ("X-Auth-Token", "X-Openstack-Request-Id")
    max_age: int = 3600
    allow_methods: tuple[str, ...] = ("GET", "PUT", "POST", "DELETE")
    allow_headers: tuple[str, ...] = ("X-Auth-Token", "X-Openstack-Request-Id")


class HealthcheckSettings(Struct, frozen=True, kw_only=True):
    """What `/healthcheck` looks at: [healthcheck]. `disable_by_file_paths` are of the form `port:path`."""

    backends: tuple[str, ...] = ()
    detailed: bool = False
    disable_by_file_path: str = ""
    disable_by_file_paths: tuple[str, ...] = ()
