"""Attributes that flavors and availability zones, and their profiles, have in common (contract 60, sections 2 to 5)."""

from typing import Any

from livia.api.wire.attribute import Attribute, Null
from livia.api.wire.kinds import Boolean, Kind, Text, Uuid


def attribute(name: str, kind: Kind, about: str, since: str, **more: Any) -> Attribute:
    """An attribute that lists can be filtered and sorted by."""
    return Attribute(name=name, kind=kind, about=about, since=since, filtered=True, sorted=True, **more)


def identity(what: str, since: str) -> Attribute:
    """The id, which the service chooses."""
    return attribute("id", Uuid(), f"The id of the {what}: a UUID.", since)


def mandatory(name: str, kind: Kind, about: str, since: str, **more: Any) -> Attribute:
    """What POST must have."""
    return attribute(name, kind, about, since, create=True, required=True, on_create_null=Null.REFUSE, **more)


def description(what: str, since: str) -> Attribute:
    """A text for people."""
    about = f"What the {what} is good for, for people; at most 255 characters."
    null = {"default": "", "on_create_null": "", "on_update_null": ""}
    return attribute("description", Text(255), about, since, create=True, update=True, **null)


def enabled(what: str, since: str) -> Attribute:
    """Whether new load balancers can have it."""
    about = f"Whether new load balancers can have the {what}; those that have it keep it."
    null = {"on_create_null": Null.REFUSE, "on_update_null": Null.REFUSE}
    return attribute("enabled", Boolean(), about, since, create=True, update=True, default=True, **null)


def profile_name(what: str, since: str) -> Attribute:
    """The name of a profile, which others may have, too."""
    about = f"The name of the {what}, for people; at most 255 characters."
    return mandatory("name", Text(255), about, since, update=True, on_update_null=Null.REFUSE)


def provider_name(since: str) -> Attribute:
    """The provider of a profile."""
    about = "The provider that the data is meant for: one of the enabled ones."
    return mandatory("provider_name", Text(255), about, since, update=True, on_update_null=Null.REFUSE)


def data(name: str, since: str) -> Attribute:
    """The data of a profile."""
    about = (
        "What the provider is asked for: a JSON object as text of at most 4096 characters, kept as it is spelt; "
        "the provider's capabilities say which keys it may have."
    )
    return mandatory(name, Text(4096), about, since, update=True, on_update_null=Null.REFUSE)
