"""L7 policies and their rules: which may be made and removed as things are, and with what values.

The policies of a listener compete: their rules look at the few things in which the requests of `prediction` differ.
"""

from typing import Any

from tests.crash.choices import Choices
from tests.crash.kinds import Kind, Values
from tests.crash.model import LAST, Balancer, Thing
from tests.crash.prediction import COOKIE, HEADER, HTTP

_MOST_POLICIES = 4
_MOST_RULES = 3
_CODES = (301, 302, 303, 307, 308)
#: type, compare type, key and value
_RULES: tuple[tuple[str, str, str | None, str], ...] = (
    ("HOST_NAME", "STARTS_WITH", None, "A.crash"),
    ("HOST_NAME", "ENDS_WITH", None, "crash.example"),
    ("HOST_NAME", "EQUAL_TO", None, "b.crash.example"),
    ("HOST_NAME", "REGEX", None, r"^[ac]\."),
    ("PATH", "STARTS_WITH", None, "/one"),
    ("PATH", "EQUAL_TO", None, "/one"),
    ("PATH", "ENDS_WITH", None, ".jpg"),
    ("PATH", "CONTAINS", None, "two"),
    ("PATH", "REGEX", None, "^/(one|two)"),
    ("FILE_TYPE", "EQUAL_TO", None, "jpg"),
    ("FILE_TYPE", "REGEX", None, "(png|gif)$"),
    ("HEADER", "EQUAL_TO", HEADER, "yes"),
    ("HEADER", "STARTS_WITH", HEADER.lower(), "n"),
    ("HEADER", "REGEX", HEADER, "^(yes|maybe)$"),
    ("COOKIE", "EQUAL_TO", COOKIE, "1"),
    ("COOKIE", "STARTS_WITH", COOKIE, "2"),
    ("SSL_CONN_HAS_CERT", "EQUAL_TO", None, "true"),
    ("SSL_VERIFY_RESULT", "EQUAL_TO", None, "0"),
    ("SSL_DN_FIELD", "EQUAL_TO", "CN", "ann"),
    ("SSL_DN_FIELD", "REGEX", "CN", "^(bob|cid)$"),
)


def answered(choices: Choices) -> Values:
    """A policy that needs no pool."""
    url = f"http://www.example.net/{choices.name('url')}"
    code = {"redirect_http_code": choices.rng.choice(_CODES)}
    targets: list[Values] = [
        {"action": "REJECT"},
        {"action": "REDIRECT_TO_URL", "redirect_url": url, **code},
        {"action": "REDIRECT_PREFIX", "redirect_prefix": url, **code},
    ]
    return choices.rng.choice(targets)


def condition(choices: Choices) -> Values:
    """What a rule looks at."""
    return dict(zip(("type", "compare_type", "key", "value"), choices.rng.choice(_RULES), strict=True))


class Policies(Kind):
    """At most four of a listener that reads requests."""

    name = "l7policy"
    weights = (9, 6, 2)

    def new(self, balancer: Balancer) -> tuple[Values, str | None] | None:
        room = [
            listener.id
            for listener in self._choices.own(balancer, "listener")
            if listener.values["protocol"] in HTTP and len(balancer.policies(listener.id)) < _MOST_POLICIES
        ]
        if not room:
            return None
        listener_id = self._rng.choice(room)
        values = {"name": self._choices.name("p"), **self._target(balancer)}
        if self._rng.random() < 0.5:
            values["position"] = self._position(balancer, listener_id)
        return values, listener_id

    def _position(self, balancer: Balancer, listener_id: str) -> int:
        """The first, the last, or one between where no policy is left that may still count."""
        if self._rng.random() < 0.6 or listener_id in balancer.counting:
            return self._rng.choice((1, LAST))
        return self._rng.randint(1, len(balancer.policies(listener_id)) + 1)

    def _target(self, balancer: Balancer) -> Values:
        pool = self._choices.pool_for(balancer, "HTTP")
        if pool is None or self._rng.random() < 0.6:
            return answered(self._choices)
        return {"action": "REDIRECT_TO_POOL", "redirect_pool_id": pool}

    def other(self, balancer: Balancer, thing: Thing) -> Values:
        assert thing.parent is not None
        moved = {"position": self._position(balancer, thing.parent)}
        changes = [self._target(balancer), {"admin_state_up": self._rng.random() < 0.7}, self._choices.labels("p")]
        return self._rng.choice([*changes, moved, moved])


class Rules(Kind):
    """At most three of a policy, which is of use with the first."""

    name = "rule"
    weights = (9, 4, 2)

    def new(self, balancer: Balancer) -> tuple[Values, str | None] | None:
        policies = self._choices.own(balancer, "l7policy")
        counts = {policy.id: len(balancer.of(self.name, parent=policy.id)) for policy in policies}
        wanted = [key for key, count in counts.items() if count == 0]
        if not wanted and self._rng.random() < 0.3:
            wanted = [key for key, count in counts.items() if count < _MOST_RULES]
        if not wanted:
            return None
        return {**condition(self._choices), "invert": self._rng.random() < 0.2}, self._rng.choice(wanted)

    def other(self, _balancer: Balancer, _thing: Thing) -> Values:
        changes: list[Values] = [
            {"admin_state_up": self._rng.random() < 0.7},
            {"invert": self._rng.random() < 0.3},
            {"tags": self._choices.tags()},
            condition(self._choices),
        ]
        return self._rng.choice(changes)


def nested(choices: Choices) -> list[dict[str, Any]]:
    """Policies with their rules, for a listener within the one call that makes everything."""
    return [
        {
            "name": choices.name("p"),
            **answered(choices),
            "position": choices.rng.randint(1, number + 1),
            "rules": [condition(choices) for _ in range(choices.rng.choice((1, 1, 2)))],
        }
        for number in range(choices.rng.randint(0, _MOST_POLICIES))
    ]


ALL: tuple[type[Kind], ...] = (Policies, Rules)
