"""The metrics that tenants see, as contract 95, section 4.3, has them. Whatever is not here is not shown.

HAProxy 2.6.12 has every one of them.
"""

from enum import StrEnum

from msgspec import Struct


class Labels(StrEnum):
    """What the samples of a metric are told apart by, beside what HAProxy adds (`state`, `code`)."""

    PROCESS = "process"
    LISTENER = "listener"
    POOL = "pool"
    MEMBER = "member"


class Metric(Struct, frozen=True):
    """A metric under its name here."""

    name: str
    labels: Labels


_MEMORY = "allocated_bytes used_bytes failures_total"
_PROCESS = """
    max_connections current_connections connections_total requests_total
    max_ssl_connections current_ssl_connections ssl_connections_total
    current_connection_rate limit_connection_rate max_connection_rate
    current_session_rate limit_session_rate max_session_rate
    current_ssl_rate limit_ssl_rate max_ssl_rate
    current_frontend_ssl_key_rate max_frontend_ssl_key_rate frontend_ssl_reuse
    current_backend_ssl_key_rate max_backend_ssl_key_rate
    ssl_cache_lookups_total ssl_cache_misses_total
    http_comp_bytes_in_total http_comp_bytes_out_total limit_http_comp
    listeners dropped_logs_total
"""
_LISTENER = """
    status current_sessions max_sessions limit_sessions sessions_total limit_session_rate max_session_rate
    connections_rate_max connections_total bytes_in_total bytes_out_total
    requests_denied_total responses_denied_total request_errors_total
    denied_connections_total denied_sessions_total failed_header_rewriting_total
    http_requests_rate_max http_requests_total http_responses_total intercepted_requests_total
    http_cache_lookups_total http_cache_hits_total
    http_comp_bytes_in_total http_comp_bytes_out_total http_comp_bytes_bypassed_total http_comp_responses_total
"""
_TIMES = """
    queue_time_average_seconds connect_time_average_seconds response_time_average_seconds total_time_average_seconds
    max_queue_time_seconds max_connect_time_seconds max_response_time_seconds max_total_time_seconds
"""
_POOL = f"""
    status current_sessions max_sessions limit_sessions sessions_total max_session_rate last_session_seconds
    current_queue max_queue connection_attempts_total connection_reuses_total bytes_in_total bytes_out_total
    {_TIMES}
    requests_denied_total responses_denied_total connection_errors_total response_errors_total
    retry_warnings_total redispatch_warnings_total failed_header_rewriting_total client_aborts_total
    check_up_down_total check_last_change_seconds downtime_seconds_total loadbalanced_total
    http_requests_total http_responses_total http_cache_lookups_total http_cache_hits_total
    http_comp_bytes_in_total http_comp_bytes_out_total http_comp_bytes_bypassed_total http_comp_responses_total
    server_aborts_total active_servers backup_servers
"""
#: those of a pool whose names speak of servers
_RENAMED = {
    "server_aborts_total": "member_aborts_total",
    "active_servers": "active_members",
    "backup_servers": "backup_members",
}
_MEMBER = f"""
    status current_sessions max_sessions limit_sessions sessions_total max_session_rate last_session_seconds
    current_queue max_queue queue_limit bytes_in_total bytes_out_total
    {_TIMES}
    connection_attempts_total connection_reuses_total responses_denied_total
    connection_errors_total response_errors_total retry_warnings_total redispatch_warnings_total
    failed_header_rewriting_total client_aborts_total server_aborts_total
    weight check_failures_total check_up_down_total downtime_seconds_total check_last_change_seconds
    current_throttle loadbalanced_total http_responses_total idle_connections_current idle_connections_limit
"""


def _metrics() -> dict[str, Metric]:
    found: dict[str, Metric] = {}
    for source, target, labels, names in (
        ("haproxy_process_pool_", "octavia_memory_pool_", Labels.PROCESS, _MEMORY),
        ("haproxy_process_", "octavia_loadbalancer_", Labels.PROCESS, _PROCESS),
        ("haproxy_frontend_", "octavia_listener_", Labels.LISTENER, _LISTENER),
        ("haproxy_backend_", "octavia_pool_", Labels.POOL, _POOL),
        ("haproxy_server_", "octavia_member_", Labels.MEMBER, _MEMBER),
    ):
        renamed = _RENAMED if labels is Labels.POOL else {}
        for name in names.split():
            found[source + name] = Metric(target + renamed.get(name, name), labels)
    return found


#: by the name that HAProxy's exporter gives a metric
METRICS = _metrics()
