"""Agents that let a question time out, or are about to."""

from collections.abc import Hashable
from enum import Enum, auto
from threading import Lock

from livia.core.clock import Clock

#: seconds between two looks whether one answers again, where nobody waits for what it is to do
_PAUSE = 10.0
#: seconds without any answer after which one counts as mute, however long its callers go on waiting
_PATIENCE = 5.0


class Prospect(Enum):
    """What becomes of a question: it is worth asking; first find out whether the agent answers again, and tell of it
    with `probed`; or it is asked in vain."""

    FAIR = auto()
    UNKNOWN = auto()
    NONE = auto()


class Call:
    """A question that is under way since `began`, in seconds of a monotonic clock."""

    def __init__(self, began: float) -> None:
        self.began = began


class _Agent:
    def __init__(self) -> None:
        self.calls: list[Call] = []
        #: when something came back
        self.heard = float("-inf")
        #: it let a question time out, and nothing came back since
        self.timed_out = False
        #: somebody finds out whether it answers again
        self.probing = False
        #: until when nobody does for what nobody waits for
        self.spared_until = float("-inf")

    def is_mute(self, now: float) -> bool:
        # Something came back since the others began: they are lost, or that one thing takes long.
        since = min((call.began for call in self.calls if call.began >= self.heard), default=now)
        return self.timed_out or since + _PATIENCE <= now


class Mute:
    """Who does not answer. A host that dies or hangs with hundreds of amphorae would otherwise cost a timeout for each
    of them, again and again, and whoever else waits for the worker's threads would never have one.

    One that answers is asked by as many at once as like to. One that is mute is asked nothing but whether it answers
    again, by one at a time, and for what nobody waits for once in a pause; the others go without waiting for it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._agents: dict[Hashable, _Agent] = {}
        self._lock = Lock()

    def prospect(self, agent: Hashable, *, urgent: bool) -> Prospect:
        """Of another question. `urgent`: somebody waits for what it is about."""
        with self._lock:
            now, known = self._clock.monotonic(), self._agents.get(agent)
            if known is None or not known.is_mute(now):
                return Prospect.FAIR
            if known.probing or (not urgent and now < known.spared_until):
                return Prospect.NONE
            known.probing = True
            return Prospect.UNKNOWN

    def probed(self, agent: Hashable, *, timed_out: bool) -> None:
        """It was found out whether it answers again."""
        with self._lock:
            known = self._agents[agent]
            known.probing = False
            self._note(known, timed_out)

    def begin(self, agent: Hashable) -> Call:
        """A question is asked now; `end` it."""
        with self._lock:
            call = Call(self._clock.monotonic())
            self._agents.setdefault(agent, _Agent()).calls.append(call)
            return call

    def end(self, agent: Hashable, call: Call, *, timed_out: bool) -> None:
        """It was asked. Who answers, or refuses at once, holds nobody up."""
        with self._lock:
            known = self._agents[agent]
            known.calls.remove(call)
            if not timed_out or call.began >= known.heard:
                self._note(known, timed_out)
            if not (known.calls or known.timed_out or known.probing):
                del self._agents[agent]

    def _note(self, known: _Agent, timed_out: bool) -> None:
        now = self._clock.monotonic()
        known.timed_out = timed_out
        if timed_out:
            known.spared_until = now + _PAUSE
        else:
            known.heard = now
