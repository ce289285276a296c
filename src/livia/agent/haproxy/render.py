"""haproxy.cfg from a spec (contract 95, section 4)."""

from ipaddress import ip_address

from msgspec import Struct

from livia.agent.haproxy import prometheus
from livia.agent.haproxy.backend import backend
from livia.agent.haproxy.frontend import frontend
from livia.agent.haproxy.persistence import stick_tables
from livia.agent.haproxy.text import Section, line
from livia.agent.haproxy.wiring import backends, is_scraped, streams
from livia.agent.haproxy.written import Written
from livia.core.spec import Spec


class Machine(Struct, frozen=True, kw_only=True):
    """What the file takes from the host. `connections`: of one HAProxy process, client and member side together."""

    connections: int
    user: str = "haproxy"
    group: str = "haproxy"


def render(spec: Spec, machine: Machine, written: Written | None = None) -> str:
    """The whole file. `spec` has passed `check`; `written`: what is kept of the one before, which saves words only.
    Raises InvalidSpecError for what is too long."""
    written = written or Written()
    sections = [_global(spec, machine), _DEFAULTS]
    tables = stick_tables(spec)
    if tables is not None:
        sections.append(tables)
    sections += [frontend(spec, listener) for listener in streams(spec)]
    sections += [
        backend(listener, pool, spec.load_balancer_id, written.lines(pool)) for listener, pool in backends(spec)
    ]
    written.keep(pool.id for pool in spec.pools)
    if is_scraped(spec):
        sections += prometheus.sections()
    return "\n".join(section.text() for section in sections)


def _global(spec: Spec, machine: Machine) -> Section:
    return Section(
        "global",
        (
            line("user", machine.user),
            line("group", machine.group),
            # One thread carries 12,000 requests a second here; a thousand amphorae share the host's cores.
            "nbthread 1",
            # HAProxy's own HTTP client, which nothing here uses, would read all authorities of the system at each
            # start: 100 ms of 140, and a megabyte.
            "httpclient.ssl.verify none",
            line("maxconn", machine.connections),
            line("localpeer", spec.amphora_id),
            "stats socket unix@h.sock mode 600 level admin expose-fd listeners",
            "stats timeout 1m",
            "server-state-file state",
            # Old processes end with their last connection, or after this time. How many there may be is the agent's to
            # say (`Master`): HAProxy bounds the reloads that each outlives, and so cuts off long connections
            # where much is changed, however few old processes there are.
            "hard-stop-after 12h",
            "mworker-max-reloads 1000000",
        ),
    )


_DEFAULTS = Section(
    "defaults",
    (
        "retries 3",
        "option redispatch",
        "option dontlognull",
        # Bytes of a connection are counted every few seconds, not only at its end.
        "option contstats",
        "load-server-state-from-file global",
        # Every section has its own; these are for HAProxy's warning about sections without.
        "timeout connect 5s",
        "timeout client 50s",
        "timeout server 50s",
    ),
)


def bound_addresses(spec: Spec) -> frozenset[str]:
    """The VIPs in the form that the kernel lists them in."""
    return frozenset(str(ip_address(vip.address)) for vip in spec.vips)
