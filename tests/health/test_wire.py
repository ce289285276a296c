"""Heartbeat datagrams, built here with the standard library alone: what is taken in and what is not."""

import hashlib
import hmac
import json
import zlib
from typing import Any, Literal

import pytest

from livia.core.report import Heartbeat, PoolReport
from livia.health.wire import Decoder, Verdict

KEY = "the-heartbeat-key"
NOW = 1_770_000_000.0
_STATUSES: tuple[Literal["UP", "DOWN"], ...] = ("UP", "DOWN")


def message(**changes: Any) -> dict[str, Any]:
    """A heartbeat as an agent sends it."""
    return {
        "id": "a1",
        "seq": 1,
        "ver": 3,
        "boot": "0123456789abcdef",
        "sent": NOW,
        "listeners": {"l": {"status": "OPEN", "stats": {"tx": 1, "rx": 2, "conns": 3, "totconns": 4, "ereq": 5}}},
        "pools": {"p:l": {"status": "UP", "members": {"m": "UP"}}},
        **changes,
    }


def sign(payload: bytes, key: str = KEY) -> bytes:
    return payload + hmac.new(key.encode(), payload, hashlib.sha256).hexdigest().encode()


def datagram(**changes: Any) -> bytes:
    return sign(zlib.compress(json.dumps(message(**changes)).encode(), 9))


def test_a_heartbeat_is_read() -> None:
    heartbeat = Decoder(KEY).decode(datagram(), NOW)
    assert isinstance(heartbeat, Heartbeat)
    assert heartbeat.listeners["l"].stats.totconns == 4
    assert heartbeat.pools["p:l"].members == {"m": "UP"}


@pytest.mark.parametrize("size", [1, 64, 65, 200])
def test_keys_of_any_length_sign(size: int) -> None:
    key = "k" * size
    signed = sign(zlib.compress(json.dumps(message()).encode(), 9), key)
    assert isinstance(Decoder(key).decode(signed, NOW), Heartbeat)
    assert Decoder(key + "k").decode(signed, NOW) is Verdict.FORGED


def test_an_upstream_heartbeat_is_read() -> None:
    """Neither boot nor time, a raw digest, unknown keys: what amphorae of the incumbent send."""
    body = {key: value for key, value in message().items() if key not in ("boot", "sent")}
    payload = zlib.compress(json.dumps({**body, "recv_time": 1}).encode(), 9)
    raw = payload + hmac.new(KEY.encode(), payload, hashlib.sha256).digest()
    decoder = Decoder(KEY)
    assert isinstance(decoder.decode(raw, NOW), Heartbeat)
    assert isinstance(decoder.decode(raw, NOW), Heartbeat)


@pytest.mark.parametrize(("says", "is_of"), [({}, 0), ({"ver": 1}, 1), ({"ver": 3}, 3)])
def test_a_heartbeat_that_does_not_say_its_version_is_of_before_there_were_any(
    says: dict[str, int], is_of: int
) -> None:
    body = {key: value for key, value in message().items() if key != "ver"} | says
    heartbeat = Decoder(KEY).decode(sign(zlib.compress(json.dumps(body).encode(), 9)), NOW)
    assert isinstance(heartbeat, Heartbeat)
    assert heartbeat.ver == is_of


@pytest.mark.parametrize(
    ("bad", "verdict"),
    [
        (b"", Verdict.FORGED),
        (b"x" * 64, Verdict.FORGED),
        (b"x" * 65535, Verdict.FORGED),
        (sign(zlib.compress(b"{}", 9), "another-key"), Verdict.FORGED),
        (datagram()[:-1], Verdict.FORGED),
        (datagram()[1:], Verdict.FORGED),
        (sign(b"not compressed"), Verdict.MALFORMED),
        (sign(zlib.compress(b"{}", 9)[:-3]), Verdict.MALFORMED),
        (sign(zlib.compress(b"not json", 9)), Verdict.MALFORMED),
        (sign(zlib.compress(b"[]", 9)), Verdict.MALFORMED),
        (datagram(seq="one"), Verdict.MALFORMED),
        (datagram(listeners={"l": {"status": "WIDE"}}), Verdict.MALFORMED),
        (sign(zlib.compress(b" " * 50_000_000, 9)), Verdict.BLOATED),
        (datagram(sent=NOW - 3600), Verdict.SKEWED),
    ],
)
def test_bad_datagrams_are_refused(bad: bytes, verdict: Verdict) -> None:
    assert Decoder(KEY).decode(bad, NOW) is verdict


def test_what_a_sender_says_of_its_pools_is_what_it_said_last() -> None:
    decoder = Decoder(KEY)

    def said(seq: int, **changes: Any) -> dict[str, PoolReport] | Verdict:
        heartbeat = decoder.decode(datagram(seq=seq, **changes), NOW)
        return heartbeat if isinstance(heartbeat, Verdict) else heartbeat.pools

    up, down = ({"p:l": {"status": status, "members": {"m": status}}} for status in ("UP", "DOWN"))
    is_up, is_down = ({"p:l": PoolReport(status=each, members={"m": each})} for each in _STATUSES)
    assert [said(1, pools=up), said(2, pools=up), said(3, pools=down)] == [is_up, is_up, is_down]
    assert said(4, pools={}) == {}
    assert said(5, pools=up) == is_up
    assert said(6, pools={"p:l": {"status": "SIDEWAYS"}}) is Verdict.MALFORMED
    assert said(7, pools=up) == is_up
    # What is refused changes nothing, and another sender says its own.
    assert said(3, pools=down) is Verdict.REPLAYED
    assert said(8, pools=up) == is_up
    assert said(1, pools=down, id="a2") == is_down
    assert said(9, pools=up) == is_up


def test_replays_are_refused() -> None:
    decoder = Decoder(KEY)
    first = datagram()
    assert isinstance(decoder.decode(first, NOW), Heartbeat)
    assert decoder.decode(first, NOW) is Verdict.REPLAYED
    assert isinstance(decoder.decode(datagram(seq=2, sent=NOW + 1), NOW + 1), Heartbeat)
    # The sender starts again: a new boot, later than what was heard.
    assert isinstance(decoder.decode(datagram(seq=1, boot="f" * 16, sent=NOW + 2), NOW + 2), Heartbeat)
    # What the old boot said does not come back.
    assert decoder.decode(datagram(seq=3, sent=NOW + 1), NOW + 3) is Verdict.REPLAYED


def test_clocks_that_are_set_silence_nobody_who_was_heard() -> None:
    decoder = Decoder(KEY)
    assert isinstance(decoder.decode(datagram(), NOW), Heartbeat)
    # The sender's clock is set back an hour, then ours is set forward by a day.
    assert isinstance(decoder.decode(datagram(seq=2, sent=NOW - 3600), NOW + 10), Heartbeat)
    assert isinstance(decoder.decode(datagram(seq=3, sent=NOW - 3590), NOW + 86400), Heartbeat)


def test_a_sender_that_starts_anew_after_its_clock_was_set_back_is_heard() -> None:
    decoder = Decoder(KEY)
    assert isinstance(decoder.decode(datagram(seq=9, sent=NOW + 7200), NOW), Verdict)
    assert isinstance(decoder.decode(datagram(seq=9, sent=NOW + 200), NOW), Heartbeat)
    assert isinstance(decoder.decode(datagram(boot="f" * 16, sent=NOW + 5), NOW + 5), Heartbeat)
    # The old boot is not believed any more, though it was sent lately.
    assert decoder.decode(datagram(seq=10, sent=NOW + 4), NOW + 6) is Verdict.REPLAYED
    assert isinstance(decoder.decode(datagram(boot="f" * 16, seq=2, sent=NOW + 15), NOW + 15), Heartbeat)


def test_after_a_restart_replays_reach_back_five_minutes_at_most() -> None:
    assert Decoder(KEY).decode(datagram(sent=NOW - 301), NOW) is Verdict.SKEWED
    decoder = Decoder(KEY)
    assert isinstance(decoder.decode(datagram(seq=7, sent=NOW), NOW), Heartbeat)
    assert decoder.decode(datagram(seq=6, sent=NOW - 10), NOW) is Verdict.REPLAYED


def test_gaps_show_what_was_lost() -> None:
    decoder = Decoder(KEY)
    for seq, nth in ((1, 1), (4, 2), (9, 5)):
        assert isinstance(decoder.decode(datagram(seq=seq, nth=nth), NOW), Heartbeat)
    # Another amphora of the same host counts on, and the first one after it.
    assert isinstance(decoder.decode(datagram(id="a2", seq=10, nth=7), NOW), Heartbeat)
    assert isinstance(decoder.decode(datagram(seq=11, nth=8), NOW), Heartbeat)
    assert decoder.take_lost() == 3
    # The host starts anew: what it says then is counted from there.
    for name, seq, nth in (("a1", 1, 1), ("a2", 2, 2), ("a1", 4, 4)):
        again = datagram(id=name, boot="f" * 16, seq=seq, nth=nth, sent=NOW + seq)
        assert isinstance(decoder.decode(again, NOW + seq), Heartbeat)
    assert decoder.take_lost() == 1
    assert decoder.take_lost() == 0


def test_who_has_a_wrong_clock_is_named() -> None:
    decoder = Decoder(KEY)
    for sender in (*"cab", *"cab", *(f"more-{number}" for number in range(100))):
        assert decoder.decode(datagram(id=sender, sent=NOW - 301), NOW) is Verdict.SKEWED
    assert decoder.decode(datagram(id="d"), NOW) is not Verdict.SKEWED
    assert decoder.decode(sign(b"x", "another key"), NOW) is Verdict.FORGED
    named = decoder.take_skewed()
    assert named[:3] == ["a", "b", "c"]
    assert len(named) == 10
    assert decoder.take_skewed() == []
