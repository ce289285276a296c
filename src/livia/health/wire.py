"""Heartbeat datagrams: authenticity, size, form and order (contract 95, section 2)."""

import hashlib
import hmac
import zlib
from enum import StrEnum
from weakref import WeakValueDictionary

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import force_setattr

from livia.core.report import Heartbeat, PoolReport

_HEX_DIGEST = 64
_RAW_DIGEST = 32
#: the largest JSON that a datagram may inflate to, bytes: 64 KiB of well-compressed ids are below it
_LARGEST = 4 * 1024 * 1024
#: seconds that the clock of a sender we never heard of may differ from ours
_STRANGER_SKEW = 300.0
#: senders whose clocks are told to be wrong at once
_NAMED = 10
#: boots of one sender that are not believed again
_REMEMBERED_BOOTS = 16


class Verdict(StrEnum):
    """What became of a datagram; the labels of the metric."""

    ACCEPTED = "accepted"
    FORGED = "forged"
    BLOATED = "bloated"
    MALFORMED = "malformed"
    REPLAYED = "replayed"
    SKEWED = "skewed"


class _Boot(Struct, weakref=True):
    """One start of a process that sends. `nth`: the last of its messages to us, whichever sender that was of."""

    nth: int


class _Envelope(Heartbeat, frozen=True, kw_only=True, gc=False):
    """A heartbeat whose pools are JSON yet: most of it, and nearly always the same as in the one before. One that does
    not say its version is of before there were any."""

    ver: int = 0
    pools: Raw = Raw(b"{}")  # type: ignore[assignment]


class _Last(Struct, gc=False):
    """The last message of one sender, and the boots before that. `told`: the JSON of its pools, and `pools` these."""

    boot: str
    seq: int
    sent: float
    counted: _Boot
    earlier: tuple[str, ...] = ()
    told: Raw = Raw(b"")
    pools: dict[str, PoolReport] = {}


class Decoder:
    """Turns datagrams into heartbeats. Remembers the last message of each sender, to refuse replays.

    Within a boot numbers only grow, whatever clocks do. A new boot must have been sent later than what was heard
    before, or just now if the sender's clock was set back. Of a sender that this process never heard, e.g. after a
    restart, nothing is known but our clock: so replays then reach back `_STRANGER_SKEW` seconds at most.
    """

    def __init__(self, key: str) -> None:
        # The key is taken in once, not with each datagram.
        self._signature = hmac.new(key.encode(), digestmod=hashlib.sha256)
        self._envelopes = msgspec.json.Decoder(_Envelope)
        self._pools = msgspec.json.Decoder(dict[str, PoolReport])
        self._last: dict[str, _Last] = {}
        #: those of which any sender is remembered
        self._boots: WeakValueDictionary[str, _Boot] = WeakValueDictionary()
        self._lost = 0
        self._skewed: set[str] = set()

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
            heartbeat = self._envelopes.decode(text)
            told, last = heartbeat.pools, self._last.get(heartbeat.id)
            known = last is not None and last.told == told
            pools = last.pools if last is not None and known else self._pools.decode(told)
        except (zlib.error, msgspec.DecodeError):
            return Verdict.MALFORMED
        force_setattr(heartbeat, "pools", pools)
        # An upstream agent gives neither boot nor time, and its numbers start again with it.
        if heartbeat.boot:
            refused = self._out_of_order(heartbeat, last, now)
            if refused is not None:
                return refused
            if not known:
                last = self._last[heartbeat.id]
                last.told, last.pools = told.copy(), pools
        return heartbeat

    def take_lost(self) -> int:
        """How many heartbeats that were sent to us did not come, since the last call."""
        lost, self._lost = self._lost, 0
        return lost

    def take_skewed(self) -> list[str]:
        """Some of those that were refused as `SKEWED` since the last call."""
        skewed, self._skewed = self._skewed, set()
        return sorted(skewed)

    def forget(self, sender: str) -> None:
        """The sender exists no more."""
        self._last.pop(sender, None)

    def _authentic(self, datagram: bytes) -> bytes | None:
        """The payload in front of a right signature: 64 hex characters, or the 32 raw bytes of old amphorae."""
        for size in (_HEX_DIGEST, _RAW_DIGEST):
            payload, given = datagram[:-size], datagram[-size:]
            if not payload:
                continue
            signature = self._signature.copy()
            signature.update(payload)
            wanted = signature.hexdigest().encode() if size == _HEX_DIGEST else signature.digest()
            if hmac.compare_digest(given, wanted):
                return payload
        return None

    def _out_of_order(self, heartbeat: Heartbeat, last: _Last | None, now: float) -> Verdict | None:
        sent, boot, seq = heartbeat.sent, heartbeat.boot, heartbeat.seq
        if last is None:
            if abs(now - sent) > _STRANGER_SKEW:
                if len(self._skewed) < _NAMED:
                    self._skewed.add(heartbeat.id)
                return Verdict.SKEWED
            self._last[heartbeat.id] = _Last(boot, seq, sent, self._count_on(boot, heartbeat.nth))
            return None
        if last.boot != boot:
            lately = abs(now - sent) <= _STRANGER_SKEW
            if not (sent > last.sent or (lately and boot not in last.earlier)):
                return Verdict.REPLAYED
            last.earlier = (*last.earlier, last.boot)[-_REMEMBERED_BOOTS:]
            last.boot = boot
            last.counted = self._count_on(boot, heartbeat.nth)
        elif seq <= last.seq:
            return Verdict.REPLAYED
        else:
            self._note_loss(last.counted, heartbeat.nth)
        last.seq, last.sent = seq, sent
        return None

    def _count_on(self, boot: str, nth: int) -> _Boot:
        """Of a sender's first message in this boot."""
        known = self._boots.get(boot)
        if known is None:
            known = self._boots[boot] = _Boot(nth)
        else:
            self._note_loss(known, nth)
        return known

    def _note_loss(self, boot: _Boot, nth: int) -> None:
        if nth > boot.nth:
            self._lost += nth - boot.nth - 1
            boot.nth = nth
