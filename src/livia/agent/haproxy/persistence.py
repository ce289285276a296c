"""How a client stays at its member (contract 95, section 4.2).

HTTP_COOKIE is made of rules, because `add server` takes no `cookie` (management guide, section 9.3): with the
`cookie` directive every new member would cost a reload. The rules do what `cookie SRV insert indirect nocache`
does: the cookie names a server, which gets the request unless it is down or in maintenance; the member does not
see the cookie; a client that was served by another gets a new one, in a response that no shared cache keeps.
"""

from livia.agent.haproxy.server import endpoint
from livia.agent.haproxy.text import Section, line, quoted_argument
from livia.agent.haproxy.wiring import backends, is_http
from livia.core.model.pool import PersistenceType
from livia.core.spec import ListenerSpec, Peer, PoolSpec, Spec

#: what each key of a table is (contract 95, section 4.2)
_TABLE = {PersistenceType.SOURCE_IP: ("ipv6",), PersistenceType.APP_COOKIE: ("string", "len", 64)}
#: where the only amphora of a load balancer listens for itself
_NOBODY_ELSE = "127.0.0.1"
#: A key has 64 characters, and tokens that differ only after as many are common (the first part of a JWT is nearly
#: everybody's). So it is a digest in just as many; nor is a table a list of open sessions then.
_DIGEST = ",sha2(256),hex"
_SERVED_BY_ANOTHER = "unless { var(txn.wanted),strcmp(txn.server) eq 0 }"
_COOKIE = [
    "http-request set-var(txn.wanted) req.cook(SRV)",
    r"http-request replace-header Cookie '(^|.*;[ ]*)SRV=[^;]*;[ ]*(.*)' '\1\2' if { var(txn.wanted) -m found }",
    r"http-request replace-header Cookie '(.*);[ ]*SRV=[^;]*' '\1' if { var(txn.wanted) -m found }",
    "http-request del-header Cookie if { req.fhdr(Cookie) -m reg ^SRV=[^;]*$ }",
    "use-server %[var(txn.wanted)] if { var(txn.wanted) -m found }",
    "http-response set-var(txn.server) srv_name",
    # A member that sets a cookie of this name cannot send the client to another.
    "http-response replace-header Set-Cookie '^SRV=.*' 'SRV=%[var(txn.server)]; path=/'",
    f"http-response add-header Set-Cookie 'SRV=%[var(txn.server)]; path=/' {_SERVED_BY_ANOTHER}",
    f"http-response add-header Cache-Control private {_SERVED_BY_ANOTHER}",
]


def persistence(listener: ListenerSpec, pool: PoolSpec, load_balancer_id: str) -> list[str]:
    """The directives of a backend."""
    if pool.persistence is None:
        return []
    kind = pool.persistence.type
    table = f"{_section_name(load_balancer_id)}/{pool.id}"
    if kind is PersistenceType.SOURCE_IP:
        return [line("stick", "on", "src", "table", table)]
    if not is_http(listener):
        # There are no cookies in a byte stream; the API refuses to bring the two together.
        return []
    if kind is PersistenceType.HTTP_COOKIE:
        return _COOKIE
    cookie = quoted_argument(pool.persistence.cookie_name or "")
    return [
        _stick("store-response", f"res.cook({cookie})", table),
        _stick("match", f"req.cook({cookie})", table),
    ]


def _stick(when: str, cookie: str, table: str) -> str:
    """A cookie that is being deleted has no value, and would be everybody's."""
    return line("stick", when, f"{cookie}{_DIGEST}", "table", table, "if", "{", cookie, "-m", "len", "gt", 0, "}")


def stick_tables(spec: Spec) -> Section | None:
    """The peers section, with the stick table of each pool that needs one; None without any.

    A reload hands tables over to the new worker by way of the peer that HAProxy itself is, so it is there also
    without another (manual, section 3.5, peer). The tables are the pools', not their backends': a client keeps its
    member on each listener of a pool, and when a listener goes.
    """
    tables = {
        pool.id: _TABLE[pool.persistence.type]
        for listener, pool in backends(spec)
        if pool.persistence is not None and _needs_table(listener, pool.persistence.type)
    }
    if not tables:
        return None
    peers = spec.peers or (Peer(amphora_id=spec.amphora_id, address=_NOBODY_ELSE),)
    return Section(
        line("peers", _section_name(spec.load_balancer_id)),
        (
            *(line("peer", peer.amphora_id, endpoint(peer.address, peer.port)) for peer in peers),
            *(line("table", pool_id, "type", *kind, "size", spec.stick_size) for pool_id, kind in tables.items()),
        ),
    )


def _needs_table(listener: ListenerSpec, kind: PersistenceType) -> bool:
    return kind is PersistenceType.SOURCE_IP or (kind is PersistenceType.APP_COOKIE and is_http(listener))


def _section_name(load_balancer_id: str) -> str:
    return f"{load_balancer_id.replace('-', '')}_peers"
