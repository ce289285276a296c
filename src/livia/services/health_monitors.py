"""Use cases of health monitors (contract 40)."""

from collections.abc import Mapping
from typing import Any

from livia.core.rules import monitors as rules
from livia.core.rules.verdict import Verdict
from livia.services import quotas
from livia.services.change import Change, leaving, perform, place_of
from livia.services.context import Context, Deps, Refused, require
from livia.store import health_monitors, objects

_COLUMNS = {
    "admin_state_up": "enabled",
    "max_retries": "rise_threshold",
    "max_retries_down": "fall_threshold",
    **{
        name: name
        for name in (
            "name",
            "type",
            "delay",
            "timeout",
            "http_method",
            "url_path",
            "expected_codes",
            "http_version",
            "domain_name",
        )
    },
}


def create(deps: Deps, context: Context, values: Mapping[str, Any]) -> str:
    """Create a monitor from complete values of the wire. Its id. Raises `Refused`."""
    place = place_of(deps, "pool", values["pool_id"])

    def act(change: Change) -> str:
        pool = change.place("pool", values["pool_id"])
        protocol = objects.values(change.connection, "pool", pool.id)["protocol"]
        require(*_type_verdicts(deps, values, protocol))
        quotas.take(change, {"health_monitor": 1})
        change.require_mutable_pool(pool)
        present = health_monitors.of_pool(change.connection, pool.id)
        monitor_id = add(change, pool.id, protocol, values, present=present)
        change.mark_pool(pool.id)
        return monitor_id

    return perform(deps, context, place.load_balancer_id, act)


def add(
    change: Change, pool_id: str, protocol: str, values: Mapping[str, Any], *, present: tuple[str, str] | None = None
) -> str:
    """Check and insert the monitor of a pool. Its id.

    `present`: (id, provisioning status) of the one that the pool has; if it is being deleted it makes way.
    """
    given = [name for name in rules.HTTP_DEFAULTS if values[name]]
    require(
        *_type_verdicts(change.deps, values, protocol),
        rules.domain_fits_version(values["domain_name"], values["http_version"]),
        rules.http_attributes_fit(values["type"], given),
    )
    if present is not None:
        if present[1] != objects.DELETING:
            raise Refused(409, "This pool already has a health monitor")
        health_monitors.make_way(change.connection, present[0])
    complete = dict(values)
    if values["type"] in rules.HTTP_TYPES:
        complete.update({name: values[name] or default for name, default in rules.HTTP_DEFAULTS.items()})
    change.require_supported("health monitor", complete)
    return change.add("health_monitor", {**columns(complete), "pool_id": pool_id}, complete["tags"])


def update(deps: Deps, context: Context, monitor_id: str, changes: Mapping[str, Any]) -> None:
    """Change a monitor. `changes`: what the request sets, nulls that mean a default resolved. Raises `Refused`."""
    place = place_of(deps, "health_monitor", monitor_id)

    def act(change: Change) -> None:
        monitor = change.place("health_monitor", monitor_id)
        stored = objects.values(change.connection, "health_monitor", monitor_id)
        wanted = dict(changes)
        _check_update(deps, stored, wanted)
        change.require_mutable_pool(change.place("pool", stored["pool_id"]))
        if monitor.provisioning_status == objects.DELETING:
            raise Refused(409, f"Pool {stored['pool_id']} is immutable and cannot be updated.")
        change.update("health_monitor", monitor_id, columns(wanted), wanted)
        change.mark_pool(stored["pool_id"])

    perform(deps, context, place.load_balancer_id, act)


def delete(deps: Deps, context: Context, monitor_id: str) -> None:
    """Delete a monitor. Twice changes nothing. Raises `Refused`."""
    place = place_of(deps, "health_monitor", monitor_id)
    if leaving(deps, place):
        return

    def act(change: Change) -> None:
        change.place("health_monitor", monitor_id)
        pool_id = objects.values(change.connection, "health_monitor", monitor_id)["pool_id"]
        change.require_mutable_pool(change.place("pool", pool_id))
        change.delete("health_monitor", (monitor_id,))
        change.mark_pool(pool_id)

    perform(deps, context, place.load_balancer_id, act)


def columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of table `health_monitor` for values of the wire."""
    return {_COLUMNS[name]: value for name, value in values.items() if name in _COLUMNS}


def _type_verdicts(deps: Deps, values: Mapping[str, Any], protocol: str) -> tuple[Verdict, ...]:
    settings = deps.settings
    return (
        rules.type_allowed(values["type"], allow_ping=settings.allow_ping_health_monitors),
        rules.type_fits_pool(values["type"], protocol),
        rules.delay_is_long_enough(values["type"], values["delay"], settings.udp_connect_min_interval_health_monitor),
    )


def _check_update(deps: Deps, stored: Mapping[str, Any], wanted: dict[str, Any]) -> None:
    """Contract 40, sections 3.4 to 6; nulls of HTTP attributes get their defaults in `wanted`."""
    kind = stored["type"]
    for name in ("delay", "timeout", "max_retries"):
        if name in wanted and wanted[name] is None:
            raise Refused(400, f"None is not a valid option for {name}")
    http = [name for name in rules.HTTP_DEFAULTS if name in wanted]
    require(rules.http_attributes_fit(kind, http))
    wanted.update({name: rules.HTTP_DEFAULTS[name] for name in http if wanted[name] is None})
    version = wanted.get("http_version", stored["http_version"])
    require(
        rules.delay_is_long_enough(
            kind, wanted.get("delay", stored["delay"]), deps.settings.udp_connect_min_interval_health_monitor
        ),
        rules.domain_fits_version(
            wanted.get("domain_name", stored["domain_name"]), None if version is None else round(version, 1)
        ),
    )
