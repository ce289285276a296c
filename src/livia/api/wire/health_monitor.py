"""Health monitors on the wire (contract 40, sections 2 and 3)."""

from typing import Any

from livia.api.wire import common
from livia.api.wire.attribute import Attribute, Null, Resource
from livia.api.wire.kinds import Choice, Decimal, Integer, Kind, Text, UrlPath, Uuid
from livia.core.model.pool import MonitorType

_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "OPTIONS", "CONNECT", "PATCH")
_CODES = r"[0-9]{3}(\s*,\s*[0-9]{3})*|[0-9]{3}-[0-9]{3}"
#: labels of letters, digits, dash and a leading underscore, a dot at the end allowed; 253 characters in all
_DOMAIN = r"(?=.{1,253}\.?$)(?:_?[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*" + (
    r"_?[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?"
)


def _seconds(name: str) -> Attribute:
    return _number(name, Integer(0))


def _number(name: str, kind: Kind) -> Attribute:
    return Attribute(
        name=name,
        kind=kind,
        create=True,
        update=True,
        required=True,
        on_create_null=Null.REFUSE,
        filtered=True,
        sorted=True,
    )


def _http(name: str, kind: Kind, **more: Any) -> Attribute:
    # Null is told apart from omission by the service: what it means depends on the monitor's type.
    return Attribute(
        name=name,
        kind=kind,
        create=True,
        update=True,
        on_create_null=Null.OMIT,
        filtered=True,
        sorted=True,
        **more,
    )


HEALTH_MONITOR = Resource(
    item="healthmonitor",
    collection="healthmonitors",
    argument="health_monitor_",
    attributes=(
        common.ID,
        common.NAME,
        *common.STATUSES,
        common.ADMIN_STATE_UP,
        Attribute(name="pool_id", kind=Uuid(), create=True, required=True, on_create_null=Null.CLEAR, shown=False),
        Attribute(
            name="type",
            kind=Choice(tuple(MonitorType)),
            create=True,
            required=True,
            on_create_null=Null.REFUSE,
            filtered=True,
            sorted=True,
        ),
        _seconds("delay"),
        _seconds("timeout"),
        _number("max_retries", Integer(1, 10)),
        Attribute(
            name="max_retries_down",
            kind=Integer(1, 10),
            create=True,
            update=True,
            default=3,
            on_update_null=Null.DEFAULT,
            filtered=True,
            sorted=True,
        ),
        _http("http_method", Choice(_METHODS)),
        _http("url_path", UrlPath()),
        _http("expected_codes", Text(64, _CODES)),
        _http("http_version", Decimal((1.0, 1.1)), since="2.10", render=common.fraction),
        _http("domain_name", Text(255, _DOMAIN, 1), since="2.10"),
        common.TAGS,
        Attribute(name="pools", render=common.reference),
        *common.project(),
        *common.TIMES,
    ),
    more_filters={"pool_id": "pool_id"},
    more_sorts=("pool_id",),
    nested_without=frozenset({"pool_id", "project_id", "tenant_id"}),
)
