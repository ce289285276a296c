"""What a tenant's Prometheus reads: the metrics of the contract, and the samples of an answer."""

from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families

#: contract 95, section 4.3, column by column; a/b/c stands for one name with each, {a,b} likewise
TABLE = {
    ("octavia_memory_pool_", frozenset[str]()): "allocated_bytes used_bytes failures_total",
    ("octavia_loadbalancer_", frozenset[str]()): """
        max_connections current_connections connections_total requests_total max_ssl_connections
        current_ssl_connections ssl_connections_total {current,limit,max}_connection_rate
        {current,limit,max}_session_rate {current,limit,max}_ssl_rate {current,max}_frontend_ssl_key_rate
        frontend_ssl_reuse {current,max}_backend_ssl_key_rate ssl_cache_lookups_total ssl_cache_misses_total
        http_comp_bytes_in_total http_comp_bytes_out_total limit_http_comp listeners dropped_logs_total
        cpu memory""",
    ("octavia_listener_", frozenset({"listener"})): """
        status {current,max,limit}_sessions sessions_total {limit,max}_session_rate connections_rate_max
        connections_total bytes_in_total bytes_out_total requests_denied_total responses_denied_total
        request_errors_total denied_connections_total denied_sessions_total failed_header_rewriting_total
        http_requests_rate_max http_requests_total http_responses_total intercepted_requests_total
        http_cache_lookups_total http_cache_hits_total http_comp_bytes_in_total http_comp_bytes_out_total
        http_comp_bytes_bypassed_total http_comp_responses_total""",
    ("octavia_pool_", frozenset({"pool"})): """
        status {current,max,limit}_sessions sessions_total max_session_rate last_session_seconds
        {current,max}_queue connection_attempts_total connection_reuses_total bytes_{in,out}_total
        {queue,connect,response,total}_time_average_seconds max_{queue,connect,response,total}_time_seconds
        requests_denied_total responses_denied_total connection_errors_total response_errors_total
        retry_warnings_total redispatch_warnings_total failed_header_rewriting_total client_aborts_total
        check_up_down_total check_last_change_seconds downtime_seconds_total loadbalanced_total
        http_requests_total http_responses_total http_cache_{lookups,hits}_total
        http_comp_bytes_{in,out,bypassed}_total http_comp_responses_total
        member_aborts_total active_members backup_members""",
    ("octavia_member_", frozenset({"pool", "member"})): """
        status {current,max,limit}_sessions sessions_total max_session_rate last_session_seconds
        {current,max}_queue queue_limit bytes_{in,out}_total
        {queue,connect,response,total}_time_average_seconds max_{queue,connect,response,total}_time_seconds
        connection_attempts_total connection_reuses_total responses_denied_total connection_errors_total
        response_errors_total {retry,redispatch}_warnings_total failed_header_rewriting_total client_aborts_total
        server_aborts_total weight check_failures_total check_up_down_total downtime_seconds_total
        check_last_change_seconds current_throttle loadbalanced_total http_responses_total
        idle_connections_current idle_connections_limit""",
}


def _spelled(names: str) -> Iterator[str]:
    for name in names.split():
        before, _, rest = name.partition("{")
        choices, _, after = rest.partition("}")
        yield from (f"{before}{choice}{after}" for choice in choices.split(","))


#: name to the labels that it has beside `state` and `code`
EXPECTED = {prefix + name: labels for (prefix, labels), names in TABLE.items() for name in _spelled(names)}

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(text: str) -> Samples:
    """Every sample; fails when one comes twice, which Prometheus refuses."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, key
            found[key] = sample.value
    return found


def of(**labels: str) -> frozenset[tuple[str, str]]:
    """The labels of a sample."""
    return frozenset(labels.items())
