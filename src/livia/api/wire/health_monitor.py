"""Health monitors on the wire (contract 40, sections 2 and 3)."""

from typing import Any

from livia.api.wire import common, schemas
from livia.api.wire.attribute import Attribute, Null, Resource
from livia.api.wire.kinds import Choice, Decimal, Integer, Kind, Text, UrlPath, Uuid
from livia.core.model.pool import MonitorType

_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "OPTIONS", "CONNECT", "PATCH")
_CODES = r"[0-9]{3}(\s*,\s*[0-9]{3})*|[0-9]{3}-[0-9]{3}"
#: labels of letters, digits, dash and a leading underscore, a dot at the end allowed; 253 characters in all
_DOMAIN = r"(?=.{1,253}\.?$)(?:_?[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*" + (
    r"_?[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?"
)


def _seconds(name: str, about: str) -> Attribute:
    return _number(name, Integer(0), about)


def _number(name: str, kind: Kind, about: str) -> Attribute:
    return Attribute(
        name=name,
        kind=kind,
        create=True,
        update=True,
        required=True,
        on_create_null=Null.REFUSE,
        filtered=True,
        sorted=True,
        about=about,
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
        Attribute(
            name="pool_id",
            kind=Uuid(),
            create=True,
            required=True,
            on_create_null=Null.CLEAR,
            shown=False,
            about="The pool whose members it checks; a pool has one monitor at most.",
        ),
        Attribute(
            name="type",
            kind=Choice(tuple(MonitorType)),
            create=True,
            required=True,
            on_create_null=Null.REFUSE,
            filtered=True,
            sorted=True,
            about="How a member is asked (UDP-CONNECT since 2.2, SCTP since 2.23).",
        ),
        _seconds("delay", "The time between two checks, in seconds; UDP-CONNECT and SCTP: at least 3."),
        _seconds("timeout", "How long a check may take, in seconds."),
        _number("max_retries", Integer(1, 10), "Successes in a row after which a member is up."),
        Attribute(
            name="max_retries_down",
            kind=Integer(1, 10),
            create=True,
            update=True,
            default=3,
            on_update_null=Null.DEFAULT,
            filtered=True,
            sorted=True,
            about="Failures in a row after which a member is down.",
        ),
        _http(
            "http_method",
            Choice(_METHODS),
            about="The method of a check; HTTP and HTTPS only, and then GET unless given.",
        ),
        _http(
            "url_path", UrlPath(), about="The path that a check asks for; HTTP and HTTPS only, and then / unless given."
        ),
        _http(
            "expected_codes",
            Text(64, _CODES),
            about="The answers of a healthy member: a status, a list parted by commas, or a range such as 200-204; "
            "HTTP and HTTPS only, and then 200 unless given.",
        ),
        _http(
            "http_version",
            Decimal((1.0, 1.1)),
            since="2.10",
            render=common.fraction,
            about="The version of HTTP that a check speaks.",
        ),
        _http(
            "domain_name",
            Text(255, _DOMAIN, 1),
            since="2.10",
            about="The host that a check asks for; needs `http_version` 1.1.",
        ),
        common.TAGS,
        Attribute(
            name="pools",
            render=common.reference,
            shows=schemas.REFERENCES,
            about="The pool whose members it checks: always one.",
        ),
        *common.project(),
        *common.TIMES,
    ),
    more_filters={"pool_id": "pool_id"},
    more_sorts=("pool_id",),
    nested_without=frozenset({"pool_id", "project_id", "tenant_id"}),
)
