"""What the agent checks itself, against real members."""

from livia.agent.probes.health import Health
from livia.agent.probes.http import expected
from livia.agent.probes.sctp import crc32c


def _texts(health: Health, results: str) -> list[str]:
    texts = []
    for each in results:
        health.take(success=each == "+")
        texts.append(health.text())
    return texts


def test_members_are_counted_up_and_down_as_haproxy_does() -> None:
    health = Health(rise=2, fall=3)
    assert health.text() == "UP 1/3"
    assert _texts(health, "++") == ["UP 2/3", "UP"]
    assert _texts(health, "--+--") == ["UP 2/3", "UP 1/3", "UP 2/3", "UP 1/3", "DOWN"]
    assert _texts(health, "-+-++") == ["DOWN", "DOWN 1/2", "DOWN", "DOWN 1/2", "UP"]


def test_the_first_failure_takes_an_unknown_member_down() -> None:
    assert _texts(Health(rise=1, fall=3), "-+") == ["DOWN", "UP"]


def test_other_counts_leave_the_verdict() -> None:
    health = Health(rise=3, fall=2)
    _texts(health, "-+")
    health.tune(2, 2)
    assert (health.up, health.text()) == (False, "DOWN")


def test_codes_are_a_list_or_a_range_whichever_way() -> None:
    assert [expected(codes, 204) for codes in ("200", "200, 204", "200-204", "299-200", "205-299")] == [
        False,
        True,
        True,
        True,
        False,
    ]


def test_the_checksum_is_that_of_the_standard() -> None:
    # The check value of CRC-32C (RFC 3720, appendix B.4): 32 bytes of zeros.
    assert crc32c(bytes(32)).hex() == "aa36918a"
