"""How a client stays at its member (contract 95, section 4.2).

HTTP_COOKIE is made of rules, because `add server` takes no `cookie` (management guide, section 9.3): with the
`cookie` directive every new member would cost a reload. The rules do what `cookie SRV insert indirect nocache`
does: the cookie names a server, which gets the request unless it is down or in maintenance; the member does not
see the cookie; a client that was served by another gets a new one, in a response that no shared cache keeps.
"""

from livia.agent.haproxy.text import line, quoted_argument
from livia.agent.haproxy.wiring import is_http
from livia.core.model.pool import PersistenceType
from livia.core.spec import ListenerSpec, PoolSpec

#: entries of a stick table (contract 90, haproxy_stick_size)
_STICK_SIZE = "10k"
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


def persistence(listener: ListenerSpec, pool: PoolSpec, peers: str | None) -> list[str]:
    """The directives of a backend. `peers`: the section that replicates its stick table."""
    wanted = pool.persistence
    replication = ["peers", peers] if peers is not None else []
    if wanted is None:
        return []
    if wanted.type is PersistenceType.SOURCE_IP:
        return [line("stick-table", "type", "ipv6", "size", _STICK_SIZE, *replication), "stick on src"]
    if not is_http(listener):
        # There are no cookies in a byte stream.
        return []
    if wanted.type is PersistenceType.HTTP_COOKIE:
        return _COOKIE
    cookie = quoted_argument(wanted.cookie_name or "")
    return [
        line("stick-table", "type", "string", "len", 64, "size", _STICK_SIZE, *replication),
        line("stick", "store-response", f"res.cook({cookie})"),
        line("stick", "match", f"req.cook({cookie})"),
    ]


def sticks(listener: ListenerSpec, pool: PoolSpec) -> bool:
    """Whether the backend has a stick table."""
    if pool.persistence is None:
        return False
    kind = pool.persistence.type
    return kind is PersistenceType.SOURCE_IP or (kind is PersistenceType.APP_COOKIE and is_http(listener))
