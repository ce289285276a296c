"""Use cases of listeners (contract 20)."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from livia.core.model.status import Provisioning
from livia.core.rules import listeners as rules
from livia.core.rules import persistence, protocols, tls
from livia.core.rules.capabilities import COOKIES_UNREAD
from livia.core.rules.references import LISTENER, Readings, named
from livia.core.rules.verdict import Verdict
from livia.services import quotas, references, word_lists
from livia.services.change import Change, leaving, perform, place_of
from livia.services.context import Context, Deps, Refused, require
from livia.store import l7policies, listeners, load_balancers, objects, pools

_COLUMNS = {
    "admin_state_up": "enabled",
    "default_tls_container_ref": "tls_certificate_id",
    "client_ca_tls_container_ref": "client_ca_tls_certificate_id",
    "client_crl_container_ref": "client_crl_container_id",
    **{
        name: name
        for name in (
            "name",
            "description",
            "protocol",
            "protocol_port",
            "connection_limit",
            "default_pool_id",
            "timeout_client_data",
            "timeout_member_connect",
            "timeout_member_data",
            "timeout_tcp_inspect",
            "client_authentication",
            "tls_ciphers",
            "hsts_max_age",
            "hsts_include_subdomains",
            "hsts_preload",
        )
    },
}
_TLS_DEFAULTS = {
    "tls_ciphers": "default_listener_ciphers",
    "tls_versions": "default_listener_tls_versions",
    "alpn_protocols": "default_listener_alpn_protocols",
}


def create(deps: Deps, context: Context, values: Mapping[str, Any]) -> str:
    """Create a listener from complete values of the wire. Its id. Raises `Refused`."""
    load_balancer_id = values["loadbalancer_id"]
    for nested in ("default_pool", "l7policies"):
        if values.get(nested):
            raise Refused(400, f"Unknown attribute for argument listener_.listener: {nested}")
    # Whose secrets they are is worth a look only where some are named.
    owner = place_of(deps, "load_balancer", load_balancer_id).project_id if named(LISTENER, values) else None
    readings = references.read(deps, owner, (LISTENER, values))

    def act(change: Change) -> str:
        quotas.take(change, {"listener": 1})
        check_pool(change, values["protocol"], values["default_pool_id"])
        change.require_mutable()
        return add(change, values, readings, listeners.on_load_balancer(change.connection, change.state.id))

    return perform(deps, context, load_balancer_id, act)


def add(
    change: Change,
    values: Mapping[str, Any],
    readings: Readings,
    others: list[listeners.Neighbour],
    *,
    ordinal: int = 0,
) -> str:
    """Check and insert a listener whose default pool is known to fit. Its id.

    `others`: the listeners of the load balancer, which the new one joins; one that is being deleted makes way.
    """
    complete = _with_tls_defaults(change.deps, values)
    _check_new(change, complete, readings, others)
    change.require_supported("listener", _asked(complete, complete["protocol"]))
    _require_heard_cookies(change, complete["protocol"], complete["default_pool_id"])
    protocol, port = complete["protocol"], complete["protocol_port"]
    if any((each.protocol, each.protocol_port) == (protocol, port) for each in others):
        listeners.make_way(change.connection, change.state.id, protocol, port)
    listener_id = change.add("listener", columns(complete), complete["tags"], ordinal=ordinal)
    listeners.add_cidrs(change.new, listener_id, complete["allowed_cidrs"] or ())
    listeners.add_sni(change.new, listener_id, complete["sni_container_refs"] or ())
    references.bind(change, LISTENER, complete, readings)
    default_pool = complete["default_pool_id"]
    others.append(listeners.Neighbour(listener_id, protocol, port, default_pool, str(Provisioning.PENDING_CREATE)))
    return listener_id


def update(deps: Deps, context: Context, listener_id: str, changes: Mapping[str, Any]) -> None:
    """Change a listener. `changes`: what the request sets, nulls that mean a default resolved. Raises `Refused`."""
    place = place_of(deps, "listener", listener_id)
    with deps.database.read() as connection:
        authority = listeners.client_authority(connection, listener_id)
    readings = references.read(deps, place.project_id, (LISTENER, {**authority, **changes}))

    def act(change: Change) -> None:
        stored = _stored(change, listener_id)
        wanted = _with_nulls(deps, stored["protocol"], changes)
        _check_update(change, stored, wanted, readings)
        if wanted.get("default_pool_id") is not None:
            check_pool(change, stored["protocol"], wanted["default_pool_id"])
        _require_present(change, stored["provisioning_status"])
        change.require_supported("listener", _asked(wanted, stored["protocol"]))
        _require_heard_cookies(change, stored["protocol"], wanted.get("default_pool_id"))
        change.update("listener", listener_id, columns(wanted), wanted)
        _set_lists(change, listener_id, wanted)
        references.bind(change, LISTENER, _named(stored, wanted), readings)

    perform(deps, context, place.load_balancer_id, act)


def delete(deps: Deps, context: Context, listener_id: str) -> None:
    """Delete a listener with its policies; its default pool stays. Twice changes nothing. Raises `Refused`."""
    place = place_of(deps, "listener", listener_id)
    if leaving(deps, place):
        return

    def act(change: Change) -> None:
        change.place("listener", listener_id)
        change.require_mutable()
        for kind, ids in l7policies.of_listener(change.connection, listener_id).items():
            change.delete(kind, ids)
        change.delete("listener", (listener_id,))

    perform(deps, context, place.load_balancer_id, act)


def columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of table `listener` for values of the wire."""
    row = {_COLUMNS[name]: value for name, value in values.items() if name in _COLUMNS}
    row.update(word_lists.packed(values))
    if "insert_headers" in values:
        row["insert_headers"] = msgspec.json.encode(values["insert_headers"]).decode()
    return row


def _with_tls_defaults(deps: Deps, values: Mapping[str, Any]) -> dict[str, Any]:
    """Only TLS termination has them (contract 20, section 4.3)."""
    complete = dict(values)
    if values["protocol"] == "TERMINATED_HTTPS":
        for name, setting in _TLS_DEFAULTS.items():
            if complete[name] is None:
                complete[name] = getattr(deps.settings, setting)
    return complete


def _with_nulls(deps: Deps, protocol: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Null on a TLS attribute means the default where TLS is terminated, and nothing elsewhere."""
    wanted = dict(changes)
    for name, setting in _TLS_DEFAULTS.items():
        if name in wanted and wanted[name] is None and protocol == "TERMINATED_HTTPS":
            wanted[name] = getattr(deps.settings, setting)
    return wanted


def check_pool(change: Change, protocol: str, pool_id: str | None) -> None:
    """Raise what speaks against a pool of a listener of `protocol` (contract 20, section 7, rows 5 to 7)."""
    if pool_id is None:
        return
    require(protocols.no_children(protocol))
    pool = change.place("pool", pool_id)
    if pool.provisioning_status == objects.DELETING:
        raise Refused(404, f"Pool {pool_id} not found.")
    stored = objects.values(change.connection, "pool", pool_id)
    require(protocols.pool_fits_listener(stored["protocol"], protocol))


def _check_new(
    change: Change, values: Mapping[str, Any], readings: Readings, others: Iterable[listeners.Neighbour]
) -> None:
    """Rows 9 to 33 of contract 20, section 7, in that order."""
    settings = change.deps.settings
    protocol = values["protocol"]
    encrypted = any(values[name] for name in rules.CERTIFICATES)
    require(
        rules.headers_fit(protocol, values["insert_headers"]),
        rules.protocol_allowed(
            protocol,
            encrypted=encrypted,
            allow_tls=settings.allow_tls_terminated_listeners,
            allow_prometheus=settings.allow_prometheus_listeners,
        ),
        rules.certificates_fit(values, values),
        tls.ciphers_allowed(values["tls_ciphers"], settings.tls_cipher_prohibit_list),
        references.verdict(change, LISTENER, values, readings),
        _port_is_free(protocol, values["protocol_port"], others),
        _cidrs_fit(change, values),
    )
    if protocol == "TERMINATED_HTTPS":
        require(
            tls.versions_allowed(values["tls_versions"], settings.minimum_tls_version),
            tls.alpn_allowed(values["alpn_protocols"]),
        )
    if protocol in _ENCRYPTED:
        require(tls.ciphers_usable(values["tls_ciphers"], values["tls_versions"]))
    require(rules.hsts_fits(values))


def _check_update(change: Change, stored: Mapping[str, Any], wanted: Mapping[str, Any], readings: Readings) -> None:
    """The same checks on the new values against the stored protocol (contract 20, section 8).

    The stored CA and revocation list are checked again whatever is changed; stored certificates are not.
    """
    settings = change.deps.settings
    merged = {**stored, **wanted}
    if set(wanted) & _CERTIFICATE_ATTRIBUTES:
        require(
            rules.certificate_allowed(stored, wanted, allow_tls=settings.allow_tls_terminated_listeners),
            rules.certificates_fit(merged, wanted, updating=True),
        )
    if set(wanted) & {"hsts_max_age", "hsts_include_subdomains", "hsts_preload"}:
        # Taking the age away switches HSTS off, flags and all.
        off = "hsts_max_age" in wanted and wanted["hsts_max_age"] is None
        considered = {**merged, "hsts_include_subdomains": False, "hsts_preload": False} if off else merged
        require(rules.hsts_fits(considered))
    require(
        rules.headers_fit(merged["protocol"], wanted.get("insert_headers"), updating=True),
        tls.ciphers_allowed(wanted.get("tls_ciphers"), settings.tls_cipher_prohibit_list),
        references.verdict(change, LISTENER, _named(stored, wanted), readings),
        _cidrs_fit(change, wanted),
        tls.versions_allowed(wanted.get("tls_versions"), settings.minimum_tls_version),
        tls.alpn_allowed(wanted.get("alpn_protocols")),
    )
    if merged["protocol"] in _ENCRYPTED:
        require(tls.ciphers_usable(merged["tls_ciphers"], merged["tls_versions"]))


def _named(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    """The references that a change looks at: what it sets, and always the CA and its revocation list."""
    return {**{name: stored[name] for name in listeners.CLIENT_AUTHORITY}, **wanted}


#: listeners that can end their clients' TLS
_ENCRYPTED = ("TERMINATED_HTTPS", "PROMETHEUS")
_CERTIFICATE_ATTRIBUTES = {*LISTENER, "client_authentication"}


def _asked(values: Mapping[str, Any], protocol: str) -> dict[str, Any]:
    """What the data plane has to be able to do."""
    return {**values, "protocol": protocol, **tls.asked_of_data_plane(values, encrypted=protocol in _ENCRYPTED)}


def _require_heard_cookies(change: Change, protocol: str, pool_id: str | None) -> None:
    """Note it where clients would not stay at their member as the pool says."""
    if pool_id is not None and protocol in persistence.BYTE_STREAMS:
        change.note_unsupported(
            persistence.unheard(protocol, pools.persistence(change.connection, pool_id)), COOKIES_UNREAD
        )


def _port_is_free(protocol: str, port: int, others: Iterable[listeners.Neighbour]) -> Verdict:
    live = ((each.protocol, each.protocol_port) for each in others if each.provisioning_status != objects.DELETING)
    return protocols.port_is_free(protocol, port, live)


def _cidrs_fit(change: Change, values: Mapping[str, Any]) -> Verdict:
    cidrs = values.get("allowed_cidrs")
    vips = load_balancers.addresses(change.connection, change.state.id) if cidrs else ()
    groups = bool(cidrs) and load_balancers.has_security_groups(change.connection, change.state.id)
    return rules.cidrs_fit(cidrs, vips, security_groups=groups)


def _require_present(change: Change, status: str) -> None:
    change.require_mutable()
    if status == objects.DELETING:
        raise Refused(409, f"Load Balancer {change.state.id} is immutable and cannot be updated.")


def _stored(change: Change, listener_id: str) -> dict[str, Any]:
    """The stored listener by the names of the wire, as far as rules look at it."""
    change.place("listener", listener_id)
    row = objects.values(change.connection, "listener", listener_id)
    stored = {name: row[column] for name, column in _COLUMNS.items()}
    stored.update({"tls_versions": None, "alpn_protocols": None, **word_lists.unpacked(row)})
    stored["sni_container_refs"] = listeners.sni(change.connection, listener_id)
    stored["provisioning_status"] = row["provisioning_status"]
    return stored


def _set_lists(change: Change, listener_id: str, values: Mapping[str, Any]) -> None:
    if "allowed_cidrs" in values:
        listeners.set_cidrs(change.connection, listener_id, values["allowed_cidrs"] or ())
    if "sni_container_refs" in values:
        listeners.set_sni(change.connection, listener_id, values["sni_container_refs"] or ())
