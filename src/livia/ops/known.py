"""Options of octavia.conf that operators have (contract 90) and that nothing here reads: told apart from mistakes."""

import difflib
from collections.abc import Collection, Mapping


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SERVICE = "service_name endpoint region_name endpoint_type ca_certificates_file insecure"
_RETRIES = "max_retries retry_interval retry_backoff retry_max"

#: section that is read to its options without effect
_OPTIONS: Mapping[str, frozenset[str]] = {
    "DEFAULT": _names(
        "control_exchange rpc_response_timeout rpc_thread_pool_size executor_thread_pool_size use_syslog "
        "syslog_log_facility use_journal use_stderr use_eventlog log_config_append default_log_levels "
        "logging_context_format_string logging_default_format_string logging_debug_format_suffix "
        "logging_exception_prefix logging_user_identity_format log_date_format log_rotate_interval "
        "log_rotate_interval_type log_rotation_type max_logfile_count max_logfile_size_mb watch_log_file "
        "rate_limit_interval rate_limit_burst rate_limit_except_level instance_format instance_uuid_format "
        "publish_errors fatal_deprecations graceful_shutdown_timeout log_options backdoor_port backdoor_socket "
        "octavia_plugins"
    ),
    "api_settings": _names("api_handler"),
    "database": _names(
        "max_overflow pool_timeout slave_connection connection_recycle_time max_retries retry_interval "
        "connection_debug connection_trace mysql_sql_mode mysql_wsrep_sync_wait connection_parameters "
        "db_retry_interval db_max_retries db_inc_retry_interval db_max_retry_interval use_db_reconnect backend "
        "sqlite_synchronous synchronous_reader asyncio_connection asyncio_slave_connection"
    ),
    "networking": _names(f"{_RETRIES} port_detach_timeout allow_invisible_resource_usage lb_network_name"),
    "oslo_policy": _names(
        "enforce_scope remote_content_type remote_ssl_verify_server_crt remote_ssl_ca_crt_file "
        "remote_ssl_client_crt_file remote_ssl_client_key_file remote_timeout"
    ),
    "healthcheck": _names("path allowed_source_ranges ignore_proxied_requests ignore_path enable_by_file_paths"),
    "controller_worker": _names(
        "workers amp_active_retries amp_active_wait_sec amp_flavor_id amp_image_tag amp_image_owner_id "
        "amp_ssh_key_name amp_timezone amp_boot_network_list amp_secgroup_list client_ca volume_driver image_driver "
        "distributor_driver statistics_drivers user_data_config_drive amphora_delete_retries "
        "amphora_delete_retry_interval event_notifications db_commit_retry_attempts db_commit_retry_initial_delay "
        "db_commit_retry_backoff db_commit_retry_max"
    ),
    "certificates": _names(f"{_SERVICE} cert_manager cert_generator barbican_auth signing_digest storage_path"),
    "amphora_agent": _names(
        "agent_server_network_dir agent_request_read_timeout agent_tls_protocol amphora_id amphora_udp_driver "
        "admin_log_targets tenant_log_targets user_log_facility administrative_log_facility log_protocol "
        "log_retry_count log_retry_interval log_queue_size logging_template_override disable_local_log_storage "
        "forward_all_logs"
    ),
    "house_keeping": _names("cert_rotate_threads"),
    "health_manager": _names(
        "health_update_threads stats_update_threads event_streamer_driver sync_provisioning_status"
    ),
    "haproxy_amphora": _names(
        "base_cert_dir haproxy_template connection_logging connection_max_retries "
        "connection_retry_interval active_connection_max_retries active_connection_retry_interval "
        "active_connection_rety_interval failover_connection_max_retries failover_connection_retry_interval "
        "build_rate_limit build_active_retries build_retry_interval user_log_format "
        "lb_network_interface respawn_count respawn_interval api_db_commit_retry_attempts "
        "api_db_commit_retry_initial_delay api_db_commit_retry_backoff api_db_commit_retry_max "
        "default_connection_limit"
    ),
}

#: sections without any option that is read: those of libraries, and of what is not there
_SECTIONS = frozenset(
    {
        "audit",
        "cinder",
        "compute",
        "driver_agent",
        "glance",
        "keepalived_vrrp",
        "nova",
        "oslo_messaging",
        "task_flow",
        "keystone_authtoken",
        "service_auth",
        "neutron",
        "barbican",
        "audit_middleware_notifications",
        "oslo_messaging_amqp",
        "oslo_messaging_kafka",
        "oslo_messaging_metrics",
        "oslo_messaging_notifications",
        "oslo_messaging_rabbit",
        "oslo_concurrency",
        "oslo_reports",
        "oslo_limit",
        "profiler",
        "service_user",
        "ssl",
    }
)

#: earlier names of options, by section
RENAMED: Mapping[tuple[str, str], str] = {("api_settings", "tls_cipher_blacklist"): "tls_cipher_prohibit_list"}


def about_section(section: str, read: Collection[str]) -> list[str]:
    """What to tell the author of a section that nothing reads. `read`: the sections that are read."""
    if section in _SECTIONS or section in _OPTIONS:
        return [f"[{section}] has no effect here."]
    return [f"[{section}] is read by nobody.{_meant(section, [*read, *_OPTIONS, *_SECTIONS])}"]


def about_options(section: str, unread: Collection[str], read: Collection[str]) -> list[str]:
    """What to tell the author of a section about the options in it that nothing reads. `read`: those that are read."""
    familiar = _OPTIONS.get(section, frozenset())
    idle = sorted(familiar.intersection(unread))
    told = [f"[{section}] {', '.join(idle)}: no effect here."] if idle else []
    strange = [option for option in unread if option not in familiar]
    names = [*read, *familiar]
    return [*told, *(f"[{section}] {option} is read by nobody.{_meant(option, names)}" for option in strange)]


def _meant(name: str, names: Collection[str]) -> str:
    near = difflib.get_close_matches(name, names, 1)
    return f" Is {near[0]} meant?" if near else ""
