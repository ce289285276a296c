"""Heartbeat datagrams: authenticity, size, form and order (contract 95, section 2)."""

import hmac
import zlib
from enum import StrEnum

import msgspec
from msgspec import Struct

from livia.core.report import Heartbeat

_HEX_DIGEST = 64
_RAW_DIGEST = 32
#: the largest JSON that a datagram may inflate to, bytes: 64 KiB of well-compressed ids are below it
_LARGEST = 4 * 1024 * 1024
#: seconds that the clock of a sender we never heard of may differ from ours
_STRANGER_SKEW = 300.0


class Verdict(StrEnum):
    """What became of a datagram; the labels of the metric."""

    ACCEPTED = "accepted"
    FORGED = "forged"
    BLOATED = "bloated"
    MALFORMED = "malformed"
    REPLAYED = "replayed"


class _Last(Struct, frozen=True):
    boot: str
    seq: int
    sent: float


class Decoder:
    """Turns datagrams into heartbeats. Remembers the last message of each sender, to refuse replays."""

    def __init__(self, key: str) -> None:
        self._mac = hmac.new(key.encode(), digestmod="sha256")
        self._json = msgspec.json.Decoder(Heartbeat)
        self._last: dict[str, _Last] = {}

    def decode(self, datagram: bytes, now: float) -> Heartbeat | Verdict:
        """The heartbeat, or why there is none. `now`: seconds since the epoch."""
        payload = self._authentic(datagram)
        if payload is None:
            return Verdict.FORGED
        inflater = zlib.decompressobj()
        try:
            text = inflater.decompress(payload, _LARGEST)
            if inflater.unconsumed_tail:
                return Verdict.BLOATED
            if not inflater.eof:
                return Verdict.MALFORMED
            heartbeat = self._json.decode(text)
        except (zlib.error, msgspec.DecodeError):
            return Verdict.MALFORMED
        return heartbeat if self._in_order(heartbeat, now) else Verdict.REPLAYED

    def forget(self, sender: str) -> None:
        """The sender exists no more."""
        self._last.pop(sender, None)

    def _authentic(self, datagram: bytes) -> bytes | None:
        """The payload in front of a right signature: 64 hex characters, or the 32 raw bytes of old amphorae."""
        for size in (_HEX_DIGEST, _RAW_DIGEST):
            payload, given = datagram[:-size], datagram[-size:]
            mac = self._mac.copy()
            mac.update(payload)
            wanted = mac.hexdigest().encode() if size == _HEX_DIGEST else mac.digest()
            if payload and hmac.compare_digest(given, wanted):
                return payload
        return None

    def _in_order(self, heartbeat: Heartbeat, now: float) -> bool:
        last = self._last.get(heartbeat.id)
        if not heartbeat.boot:
            # An upstream agent: it gives neither boot nor time, and its numbers start again with it.
            return True
        if last is None:
            fresh = abs(now - heartbeat.sent) <= _STRANGER_SKEW
        elif last.boot == heartbeat.boot:
            fresh = heartbeat.seq > last.seq
        else:
            fresh = heartbeat.sent > last.sent
        if fresh:
            self._last[heartbeat.id] = _Last(heartbeat.boot, heartbeat.seq, heartbeat.sent)
        return fresh
