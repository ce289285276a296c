"""What a rule answers: values in, `Accept` or `Refuse(status, text)` out."""

from typing import TypeAlias

from msgspec import Struct


class Accept(Struct, frozen=True):
    """Nothing speaks against it."""


class Refuse(Struct, frozen=True):
    """`status` is the HTTP code, `text` the fault string (contract 00, section 6)."""

    status: int
    text: str


Verdict: TypeAlias = Accept | Refuse

ACCEPT = Accept()


def invalid(text: str) -> Refuse:
    """A 400 with the prefix that most of the contract's texts carry."""
    return Refuse(400, f"Validation failure: {text}")


def first(*verdicts: Verdict) -> Verdict:
    """The first refusal, in the contract's order of checks; `ACCEPT` when there is none."""
    return next((verdict for verdict in verdicts if isinstance(verdict, Refuse)), ACCEPT)
