"""How a reconcile ends."""

from typing import TypeAlias

from msgspec import Struct


class Done(Struct, frozen=True, kw_only=True):
    """The load balancer is as wanted."""

    reason: str


class Again(Struct, frozen=True, kw_only=True):
    """Look again in `after` seconds. `settled`: all that was asked for is confirmed, only rests remain."""

    after: float
    reason: str
    settled: bool = False


class Failed(Struct, frozen=True, kw_only=True):
    """It cannot be made so now: it shows ERROR. Another try comes in `after` seconds."""

    after: float
    reason: str


Outcome: TypeAlias = Done | Again | Failed
