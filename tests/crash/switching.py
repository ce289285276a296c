"""L7 policies and their rules: which may be made and removed as things are, and with what values.

The policies of a listener compete: their rules look at the few things in which the requests of `prediction` differ.
"""

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
)


class Policies(Kind):
    """At most four of a listener that reads requests."""

    name = "l7policy"
    weights = (7, 5, 2)

    def new(self, balancer: Balancer) -> tuple[Values, str | None] | None:
        listener = self._choices.one(balancer, "listener")
        if listener is None or listener.values["protocol"] not in HTTP:
            return None
        if len(balancer.policies(listener.id)) >= _MOST_POLICIES:
            return None
        values = {"name": self._choices.name("p"), **self._target(balancer)}
        if self._rng.random() < 0.5:
            values["position"] = self._position(balancer, listener.id)
        return values, listener.id

    def _position(self, balancer: Balancer, listener_id: str) -> int:
        """The first, the last, or one between where no policy is left that may still count."""
        if self._rng.random() < 0.6 or listener_id in balancer.counting:
            return self._rng.choice((1, LAST))
        return self._rng.randint(1, len(balancer.policies(listener_id)) + 1)

    def _target(self, balancer: Balancer) -> Values:
        url = f"http://www.example.net/{self._choices.name('url')}"
        code = {"redirect_http_code": self._rng.choice(_CODES)}
        targets: list[Values] = [
            {"action": "REJECT"},
            {"action": "REDIRECT_TO_URL", "redirect_url": url, **code},
            {"action": "REDIRECT_PREFIX", "redirect_prefix": url, **code},
        ]
        pool = self._choices.pool_for(balancer, "HTTP")
        if pool is not None:
            targets += [{"action": "REDIRECT_TO_POOL", "redirect_pool_id": pool}] * 2
        return self._rng.choice(targets)

    def other(self, balancer: Balancer, thing: Thing) -> Values:
        assert thing.parent is not None
        moved = {"position": self._position(balancer, thing.parent)}
        return self._rng.choice(
            [self._target(balancer), {"admin_state_up": self._rng.random() < 0.7}, moved, moved],
        )


class Rules(Kind):
    """At most three of a policy."""

    name = "rule"
    weights = (10, 4, 2)

    def new(self, balancer: Balancer) -> tuple[Values, str | None] | None:
        policy = self._choices.one(balancer, "l7policy")
        if policy is None or len(balancer.of(self.name, parent=policy.id)) >= _MOST_RULES:
            return None
        return {**self._condition(), "invert": self._rng.random() < 0.3}, policy.id

    def _condition(self) -> Values:
        return dict(zip(("type", "compare_type", "key", "value"), self._rng.choice(_RULES), strict=True))

    def other(self, _balancer: Balancer, _thing: Thing) -> Values:
        changes: list[Values] = [
            {"admin_state_up": self._rng.random() < 0.7},
            {"invert": self._rng.random() < 0.5},
            self._condition(),
        ]
        return self._rng.choice(changes)


ALL: tuple[type[Kind], ...] = (Policies, Rules)
