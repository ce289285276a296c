"""HAProxy's part in a PROMETHEUS listener (contract 95, section 4): who may ask what, and its own exporter.

The tenant's frontend sends scrapes to the agent, which asks the exporter and renames what it says
(`agent.prometheus`). The exporter is in the file of load balancers that have such a listener, and of no others.
"""

from livia.agent.haproxy.text import Section, line

#: the exporter's socket, in HAProxy's working directory: only root can reach it
SOCKET = "e.sock"
#: Where the agent listens: an abstract UNIX socket, in the namespace that HAProxy is in. HAProxy has no rights to the
#: amphora's directory.
DOOR = "livia-metrics"
#: names of contract 95, section 4; heartbeats and tenants do not see them
_FRONTEND = "prometheus-exporter-internal-endpoint"
_BACKEND = "prometheus-exporter-internal"
#: scrapes of one amphora at the same time
_MOST_SCRAPES = 4


def scrapes() -> list[str]:
    """What a tenant's frontend says beside what every frontend says."""
    return [
        "http-request return status 404 unless { path /metrics }",
        line("http-request", "return", "status", 405, "hdr", "Allow", "GET, HEAD") + " unless METH_GET",
        line("default_backend", _BACKEND),
    ]


def sections() -> tuple[Section, Section]:
    """The exporter, and the way to the agent. An agent that is gone is no reason to try again."""
    return (
        Section(
            line("frontend", _FRONTEND),
            (
                "mode http",
                line("bind", f"unix@{SOCKET}", "mode", 600),
                "timeout client 60s",
                "http-request use-service prometheus-exporter",
            ),
        ),
        Section(
            line("backend", _BACKEND),
            (
                "mode http",
                "retries 0",
                "timeout connect 2s",
                "timeout queue 10s",
                "timeout server 60s",
                line("server", "agent", f"abns@{DOOR}", "maxconn", _MOST_SCRAPES),
            ),
        ),
    )
