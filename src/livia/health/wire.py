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
#: boots of one sender that are not believed again
_REMEMBERED_BOOTS = 16
#: boots whose losses are counted at once
_MOST_SENDERS = 200_000


class Verdict(StrEnum):
    """What became of a datagram; the labels of the metric."""

    ACCEPTED = "accepted"
    FORGED = "forged"
    BLOATED = "bloated"
    MALFORMED = "malformed"
    REPLAYED = "replayed"
    SKEWED = "skewed"


class _Last(Struct, gc=False):
    """The last message of one sender, and the boots before that."""

    boot: str
    seq: int
    sent: float
    earlier: tuple[str, ...] = ()


class Decoder:
    """Turns datagrams into heartbeats. Remembers the last message of each sender, to refuse replays.

    Within a boot numbers only grow, whatever clocks do. A new boot must have been sent later than what was heard
    before, or just now if the sender's clock was set back. Of a sender that this process never heard, e.g. after a
    restart, nothing is known but our clock: so replays then reach back `_STRANGER_SKEW` seconds at most.
    """

    def __init__(self, key: str) -> None:
        self._mac = hmac.new(key.encode(), digestmod="sha256")
        self._json = msgspec.json.Decoder(Heartbeat)
        self._last: dict[str, _Last] = {}
        self._nth: dict[str, int] = {}
        self._lost = 0

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
        if heartbeat.boot:
            # An upstream agent gives neither boot nor time, and its numbers start again with it.
            refused = self._out_of_order(heartbeat, now)
            if refused is not None:
                return refused
            self._note_loss(heartbeat)
        return heartbeat

    def take_lost(self) -> int:
        """How many heartbeats that were sent to us did not come, since the last call."""
        lost, self._lost = self._lost, 0
        return lost

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

    def _out_of_order(self, heartbeat: Heartbeat, now: float) -> Verdict | None:
        last = self._last.get(heartbeat.id)
        lately = abs(now - heartbeat.sent) <= _STRANGER_SKEW
        if last is None:
            if not lately:
                return Verdict.SKEWED
            self._last[heartbeat.id] = _Last(heartbeat.boot, heartbeat.seq, heartbeat.sent)
            return None
        if last.boot == heartbeat.boot:
            if heartbeat.seq <= last.seq:
                return Verdict.REPLAYED
        elif heartbeat.sent > last.sent or (lately and heartbeat.boot not in last.earlier):
            last.earlier = (*last.earlier, last.boot)[-_REMEMBERED_BOOTS:]
            last.boot = heartbeat.boot
        else:
            return Verdict.REPLAYED
        last.seq, last.sent = heartbeat.seq, heartbeat.sent
        return None

    def _note_loss(self, heartbeat: Heartbeat) -> None:
        before = self._nth.get(heartbeat.boot)
        if before is None and len(self._nth) >= _MOST_SENDERS:
            # Senders that started anew leave their old boots here.
            self._nth.clear()
        if before is not None and heartbeat.nth > before:
            self._lost += heartbeat.nth - before - 1
        if before is None or heartbeat.nth > before:
            self._nth[heartbeat.boot] = heartbeat.nth
