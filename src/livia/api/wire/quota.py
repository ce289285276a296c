"""Quotas on the wire (contract 60, section 1)."""

from livia.api.wire.attribute import Attribute, Resource
from livia.api.wire.kinds import Integer, Text

_LIMIT = Integer(-1, 2000000000)
#: the stored name, what there may be so many of, and since when it can be limited
_LIMITS = (
    ("load_balancer", "load balancers", "2.0"),
    ("listener", "listeners", "2.0"),
    ("pool", "pools", "2.0"),
    ("member", "members", "2.0"),
    ("health_monitor", "health monitors", "2.0"),
    ("l7policy", "L7 policies", "2.19"),
    ("l7rule", "L7 rules", "2.19"),
)
#: clients read either spelling, and the first of a pair wins when a request has both: the other, stored name
SPELLINGS = {"loadbalancer": "load_balancer", "healthmonitor": "health_monitor"}


def _limit(name: str, things: str, since: str, source: str | None = None) -> Attribute:
    about = f"How many {things} the project may have; -1: any number. Null: as many as the deployment says."
    plain = source is None
    return Attribute(
        name=name,
        kind=_LIMIT,
        update=True,
        source=source,
        shows=_LIMIT.schema(),
        filtered=plain,
        sorted=plain,
        since=since,
        about=about,
    )


_BY_NAME = {name: (things, since) for name, things, since in _LIMITS}

QUOTA = Resource(
    item="quota",
    collection="quotas",
    argument="quotas",
    key="project_id",
    attributes=(
        *(_limit(name, things, since) for name, things, since in _LIMITS),
        *(_limit(name, *_BY_NAME[stored], source=stored) for name, stored in SPELLINGS.items()),
        Attribute(
            name="project_id",
            kind=Text(36),
            shows={"type": "string"},
            filtered=True,
            sorted=True,
            about="The project whose quotas these are.",
        ),
        Attribute(
            name="tenant_id",
            shows={"type": "string"},
            source="project_id",
            about="An older name of `project_id`.",
        ),
    ),
)
