"""The parts of a health manager live and end together."""

from threading import Event

import pytest

from livia.health.service import together


def test_a_part_that_breaks_off_ends_the_others_and_says_why() -> None:
    ended = []

    def steady(stop: Event) -> None:
        stop.wait(10.0)
        ended.append("steady")

    def broken(_stop: Event) -> None:
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        together(Event(), steady, broken)
    assert ended == ["steady"]
