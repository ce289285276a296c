"""Use cases of pools (contract 30, part A)."""

from collections.abc import Mapping
from typing import Any

from livia.core.rules import persistence, protocols, tls
from livia.core.rules.capabilities import COOKIES_UNREAD, pool_kind
from livia.core.rules.references import POOL, Readings
from livia.services import quotas, references, word_lists
from livia.services.change import Change, leaving, perform, place_of
from livia.services.context import Context, Deps, Refused, require
from livia.store import listeners, objects, pools

_COLUMNS = {
    "admin_state_up": "enabled",
    "tls_container_ref": "tls_certificate_id",
    "ca_tls_container_ref": "ca_tls_certificate_id",
    "crl_container_ref": "crl_container_id",
    **{name: name for name in ("name", "description", "protocol", "lb_algorithm", "tls_enabled", "tls_ciphers")},
}
_TLS_DEFAULTS = {
    "tls_ciphers": "default_pool_ciphers",
    "tls_versions": "default_pool_tls_versions",
    "alpn_protocols": "default_pool_alpn_protocols",
}


def parent_of(deps: Deps, values: Mapping[str, Any]) -> objects.Place:
    """Where a new pool belongs: its load balancer, or that of its listener. Raises the 400 and the 404s."""
    load_balancer_id, listener_id = values["loadbalancer_id"], values["listener_id"]
    if load_balancer_id is None and listener_id is None:
        raise Refused(400, "Validation failure: Must provide at least one of: loadbalancer_id, listener_id")
    named = None if load_balancer_id is None else place_of(deps, "load_balancer", load_balancer_id)
    if listener_id is None:
        assert named is not None  # noqa: S101 - one of the two is there
        return named
    listener = place_of(deps, "listener", listener_id)
    if named is not None and named.id != listener.load_balancer_id:
        raise Refused(400, f"Validation failure: Listener {listener_id} does not belong to Load Balancer {named.id}.")
    return named or place_of(deps, "load_balancer", listener.load_balancer_id)


def create(deps: Deps, context: Context, values: Mapping[str, Any]) -> str:
    """Create a pool from complete values of the wire. Its id. Raises `Refused`."""
    load_balancer = parent_of(deps, values)
    for nested in ("members", "healthmonitor"):
        if values.get(nested):
            raise Refused(400, f"Unknown attribute for argument pool_.pool: {nested}")
    readings = references.read(deps, load_balancer.project_id, (POOL, values))

    def act(change: Change) -> str:
        listener = _check_listener(change, values)
        require(persistence.acceptable(values["protocol"], values["session_persistence"]))
        quotas.take(change, {"pool": 1})
        if listener is not None and listener["default_pool_id"] is not None:
            raise Refused(409, "This listener already has a default pool")
        change.require_mutable()
        pool_id = add(change, values, readings)
        if listener is not None:
            change.note_unsupported(
                persistence.unheard(listener["protocol"], values["session_persistence"]), COOKIES_UNREAD
            )
            listeners.attach_pool(change.connection, listener["id"], pool_id)
            change.mark("listener", (listener["id"],))
        return pool_id

    return perform(deps, context, load_balancer.id, act)


def add(change: Change, values: Mapping[str, Any], readings: Readings, *, ordinal: int = 0) -> str:
    """Check and insert a pool. Its id."""
    require(persistence.acceptable(values["protocol"], values["session_persistence"]))
    complete = _with_tls_defaults(change.deps, values)
    settings = change.deps.settings
    require(
        tls.revocation_list_fits(complete["ca_tls_container_ref"], complete["crl_container_ref"]),
        references.verdict(change, POOL, complete, readings),
        tls.ciphers_allowed(complete["tls_ciphers"], settings.tls_cipher_prohibit_list),
    )
    if complete["tls_enabled"]:
        require(
            tls.versions_allowed(complete["tls_versions"], settings.minimum_tls_version),
            tls.alpn_allowed(complete["alpn_protocols"]),
            tls.ciphers_usable(complete["tls_ciphers"], complete["tls_versions"]),
        )
    change.require_supported(pool_kind(values["protocol"]), _asked(complete, {}))
    change.note_unsupported(persistence.unheard(values["protocol"], complete["session_persistence"]), COOKIES_UNREAD)
    pool_id = change.add("pool", columns(complete), complete["tags"], ordinal=ordinal)
    pools.add_persistence(change.new, pool_id, complete["session_persistence"])
    references.bind(change, POOL, complete, readings)
    return pool_id


def update(deps: Deps, context: Context, pool_id: str, changes: Mapping[str, Any]) -> None:
    """Change a pool. `changes`: what the request sets, nulls that mean a default resolved. Raises `Refused`."""
    place = place_of(deps, "pool", pool_id)
    readings = references.read(deps, place.project_id, (POOL, _named(_authority(deps, pool_id, changes), changes)))

    def act(change: Change) -> None:
        pool = change.place("pool", pool_id)
        stored = objects.values(change.connection, "pool", pool_id)
        wanted = _with_nulls(deps, bool(stored["tls_enabled"]), changes)
        if "session_persistence" in wanted:
            merged = persistence.merged(pools.persistence(change.connection, pool_id), wanted["session_persistence"])
            require(persistence.acceptable(stored["protocol"], merged, updating=True))
            wanted["session_persistence"] = merged
            for protocol in (stored["protocol"], *listeners.protocols_using_pool(change.connection, pool_id)):
                change.note_unsupported(persistence.unheard(protocol, merged), COOKIES_UNREAD)
        _check_tls_update(change, stored, wanted, readings)
        change.require_mutable()
        if pool.provisioning_status == objects.DELETING:
            raise Refused(409, f"Load Balancer {change.state.id} is immutable and cannot be updated.")
        asked = _asked(wanted, stored)
        if asked["tls_enabled"]:
            require(tls.ciphers_usable(asked["tls_ciphers"], asked["tls_versions"]))
        change.require_supported(pool_kind(stored["protocol"]), asked)
        change.update("pool", pool_id, columns(wanted), wanted)
        if "session_persistence" in wanted:
            pools.set_persistence(change.connection, pool_id, wanted["session_persistence"])
        change.mark("listener", listeners.using_pool(change.connection, pool_id))
        references.bind(change, POOL, _named(_stored_authority(stored), wanted), readings)

    perform(deps, context, place.load_balancer_id, act)


def delete(deps: Deps, context: Context, pool_id: str) -> None:
    """Delete a pool with its members and monitor; listeners lose it. Twice changes nothing. Raises `Refused`."""
    place = place_of(deps, "pool", pool_id)
    if leaving(deps, place):
        return

    def act(change: Change) -> None:
        change.place("pool", pool_id)
        policy = pools.redirecting_policy(change.connection, pool_id)
        if policy is not None:
            raise Refused(409, f"Pool {pool_id} is in use by L7 policy {policy}")
        change.require_mutable()
        change.mark("listener", listeners.using_pool(change.connection, pool_id))
        listeners.detach_pool(change.connection, pool_id)
        for kind, ids in pools.children(change.connection, pool_id).items():
            change.delete(kind, ids)
        change.delete("pool", (pool_id,))

    perform(deps, context, place.load_balancer_id, act)


def columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of table `pool` for values of the wire."""
    row = {_COLUMNS[name]: value for name, value in values.items() if name in _COLUMNS}
    return {**row, **word_lists.packed(values)}


def _check_listener(change: Change, values: Mapping[str, Any]) -> dict[str, Any] | None:
    if values["listener_id"] is None:
        return None
    place = change.place("listener", values["listener_id"])
    if place.provisioning_status == objects.DELETING:
        raise Refused(404, f"Listener {place.id} not found.")
    listener = objects.values(change.connection, "listener", place.id)
    require(
        protocols.no_children(listener["protocol"]),
        protocols.pool_fits_listener(values["protocol"], listener["protocol"]),
    )
    return listener


def _with_tls_defaults(deps: Deps, values: Mapping[str, Any]) -> dict[str, Any]:
    """Only pools that encrypt to their members have them (contract 30, section A2)."""
    complete = dict(values)
    if values["tls_enabled"]:
        for name, setting in _TLS_DEFAULTS.items():
            if complete[name] is None:
                complete[name] = getattr(deps.settings, setting)
    return complete


def _asked(values: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """What the data plane has to be able to do. `row`: the pool as it is stored."""
    lists = word_lists.unpacked(row)
    merged = {**lists, **{name: value for name, value in values.items() if name not in lists or value}}
    encrypted = bool(values.get("tls_enabled", row.get("tls_enabled")))
    merged = {"tls_ciphers": row.get("tls_ciphers"), "tls_versions": None, **merged, "tls_enabled": encrypted}
    return {**merged, **tls.asked_of_data_plane(merged, encrypted=encrypted)}


def _with_nulls(deps: Deps, encrypted: bool, changes: Mapping[str, Any]) -> dict[str, Any]:
    wanted = dict(changes)
    for name in ("tls_ciphers", "tls_versions"):
        if name in wanted and wanted[name] is None and wanted.get("tls_enabled", encrypted):
            wanted[name] = getattr(deps.settings, _TLS_DEFAULTS[name])
    return wanted


def _authority(deps: Deps, pool_id: str, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The stored CA and revocation list, if one of them is changed."""
    if not set(pools.AUTHORITY) & set(changes):
        return {}
    with deps.database.read() as connection:
        return pools.authority(connection, pool_id)


def _named(stored: Mapping[str, Any], changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The references that a change has to look at: a CA and its revocation list only together."""
    return {**stored, **changes} if set(pools.AUTHORITY) & set(changes) else changes


def _stored_authority(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: row[column.name] for name, column in pools.AUTHORITY.items()}


def _check_tls_update(change: Change, row: Mapping[str, Any], wanted: Mapping[str, Any], readings: Readings) -> None:
    settings = change.deps.settings
    stored = _stored_authority(row)
    merged = {**stored, **wanted}
    removing = "ca_tls_container_ref" in wanted and wanted["ca_tls_container_ref"] is None
    require(
        tls.revocation_list_fits(merged["ca_tls_container_ref"], merged["crl_container_ref"], removing=removing),
        references.verdict(change, POOL, _named(stored, wanted), readings),
        tls.ciphers_allowed(wanted.get("tls_ciphers"), settings.tls_cipher_prohibit_list),
        tls.versions_allowed(wanted.get("tls_versions"), settings.minimum_tls_version),
        tls.alpn_allowed(wanted.get("alpn_protocols")),
    )
