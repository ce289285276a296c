"""A listener as a frontend (contract 95, section 4.1)."""

from livia.agent.haproxy.prometheus import scrapes
from livia.agent.haproxy.server import endpoint, milliseconds
from livia.agent.haproxy.switching import policies
from livia.agent.haproxy.text import Section, line
from livia.agent.haproxy.tls import bind_words, strict_transport_security
from livia.agent.haproxy.wiring import backend_name, is_http, mode
from livia.core.model.listener import ListenerProtocol
from livia.core.spec import ListenerSpec, Spec

#: HAProxy keeps the lower 32 bits of what it reads: a limit of 2**32 + 1 would be one connection
_MOST_CONNECTIONS = 2**31 - 1
#: milliseconds that the head of a request may take, however long a client may be silent elsewhere
_LONGEST_HEAD = 60000


def frontend(spec: Spec, listener: ListenerSpec) -> Section:
    lines = [mode(listener)]
    encryption = bind_words(listener)
    lines += [line("bind", endpoint(vip.address, listener.port), *encryption) for vip in spec.vips]
    if listener.connection_limit > 0:
        lines.append(line("maxconn", min(listener.connection_limit, _MOST_CONNECTIONS)))
    lines.append(line("timeout", "client", milliseconds(listener.timeout_client_data)))
    if listener.timeout_tcp_inspect > 0 and not is_http(listener):
        # A member is asked when the client has said something, or when it has had its time.
        lines.append(line("tcp-request", "inspect-delay", listener.timeout_tcp_inspect))
        lines.append("tcp-request content accept if { req.len gt 0 }")
    if is_http(listener):
        lines += _waiting(milliseconds(listener.timeout_client_data))
        # On reload the old process answers one more request on an idle connection instead of closing it.
        lines.append("option idle-close-on-response")
        if listener.tls is not None and listener.tls.hsts is not None:
            # Also on what HAProxy itself answers: redirects, refusals, errors.
            value = strict_transport_security(listener.tls.hsts)
            lines.append(line("http-after-response", "set-header", "Strict-Transport-Security", value))
        lines += policies(listener)
    if listener.protocol is ListenerProtocol.PROMETHEUS:
        lines += scrapes()
    if listener.default_pool_id is not None:
        lines.append(line("default_backend", backend_name(listener.default_pool_id, listener.id)))
    return Section(line("frontend", listener.id), tuple(lines))


def _waiting(silence: int) -> list[str]:
    """A head that comes byte by byte is no silence: without a limit of its own it could hold a connection for ever.
    Between requests a client may be as silent as elsewhere."""
    return [
        line("timeout", "http-request", min(silence, _LONGEST_HEAD)),
        line("timeout", "http-keep-alive", silence),
    ]
