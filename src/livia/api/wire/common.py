"""Attributes that every object has, and how columns become JSON values."""

from typing import Any

import msgspec

from livia.api.wire.attribute import Attribute, Null
from livia.api.wire.kinds import Boolean, Choice, Kind, Sequence, Text, Uuid
from livia.api.wire.schemas import NULLABLE_TIME, REFERENCES, TIME
from livia.core.model.status import Operating, Provisioning

_map = msgspec.json.Decoder(dict[str, str]).decode


def texts(value: list[str] | None) -> list[str]:
    """Texts, sorted: the databases keep no order."""
    return sorted(value) if value else []


def references(value: str | None) -> list[dict[str, str]]:
    """Ids joined by commas, as the API refers to objects."""
    return [{"id": each} for each in value.split(",")] if value else []


def reference(value: str) -> list[dict[str, str]]:
    """One id, as a list that always has one element."""
    return [{"id": value}]


def words(value: str | None) -> list[str] | None:
    """Words joined by commas; null when there are none."""
    return value.split(",") if value else None


def some_words(value: str | None) -> list[str]:
    """Words joined by commas."""
    return value.split(",") if value else []


def text_map(value: str | None) -> dict[str, str]:
    """A JSON object of texts."""
    return _map(value) if value else {}


def fraction(value: float | None) -> float | None:
    """MySQL's float is a binary one: 1.1 comes back as 1.100000023841858 (contract 98, section 5)."""
    return None if value is None else round(value, 1)


def flag(value: Any) -> bool:
    """A boolean that old rows hold as null."""
    return bool(value)


def shown(name: str, kind: Kind | None = None, *, filtered: bool = True, sorted: bool = True, **more: Any) -> Attribute:  # noqa: A002 - as in Attribute
    """An attribute that only the service sets."""
    return Attribute(name=name, kind=kind, filtered=filtered, sorted=sorted, **more)


def text(name: str, longest: int = 255, **more: Any) -> Attribute:
    """A string that is null unless given."""
    return Attribute(name=name, kind=Text(longest), create=True, update=True, filtered=True, sorted=True, **more)


def _label(name: str, about: str) -> Attribute:
    return text(name, default="", on_create_null="", on_update_null="", about=about)


ID = shown("id", Uuid(), about="Identifies the object. The service chooses it.")
NAME = _label("name", "A name for people; it need not be unique.")
DESCRIPTION = _label("description", "A sentence for people.")
ADMIN_STATE_UP = Attribute(
    name="admin_state_up",
    kind=Boolean(),
    create=True,
    update=True,
    default=True,
    on_create_null=False,
    on_update_null=False,
    filtered=True,
    sorted=True,
    about="Whether it is in use. With false it stays configured and serves nothing.",
)
LOAD_BALANCERS = Attribute(
    name="loadbalancers",
    render=reference,
    shows=REFERENCES,
    about="The load balancer it belongs to: always one.",
)
TAGS = Attribute(
    name="tags",
    kind=Sequence(Text(255), distinct=True),
    create=True,
    update=True,
    default=[],
    on_update_null=Null.OMIT,
    render=texts,
    since="2.5",
    about="Words to find the object by. Repeated ones count once; the order is not kept.",
)
STATUSES = (
    shown(
        "provisioning_status",
        Choice(tuple(Provisioning)),
        about="Whether the newest configuration has reached the data plane: ACTIVE when it has, PENDING_* until "
        "then, ERROR when it could not.",
    ),
    shown("operating_status", Choice(tuple(Operating)), about="What the data plane observes of the object."),
)
TIMES = (
    shown("created_at", shows=TIME, about="When it was created, in UTC."),
    shown("updated_at", shows=NULLABLE_TIME, about="When it last changed, in UTC; null until then."),
)


def project() -> tuple[Attribute, Attribute]:
    """`project_id` and its alias. Accepted by POST; only a load balancer's counts (contract 00, section 11)."""
    return (
        Attribute(
            name="project_id",
            kind=Text(36),
            create=True,
            on_create_null=Null.OMIT,
            filtered=True,
            sorted=True,
            shows=Text(36).schema(),
            about="The project that owns it. A load balancer's is the caller's unless an administrator names another; "
            "everything below has its load balancer's, whatever is sent.",
        ),
        Attribute(
            name="tenant_id",
            kind=Text(36),
            create=True,
            on_create_null=Null.OMIT,
            source="project_id",
            shows=Text(36).schema(),
            about="An older name of `project_id`. It counts when both are sent.",
        ),
    )
