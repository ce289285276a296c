"""When each check is made: one thread for every amphora of an agent."""

import heapq
import os
import random
import select
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from threading import Condition, Event, Lock, Thread

import structlog

from livia.agent.plumbing import kernel
from livia.agent.probes.channel import Channel, ours
from livia.agent.probes.room import Room
from livia.agent.probes.stream import Stream
from livia.agent.probes.watch import OnChange, Target, Watch
from livia.core.spec import Spec

log = structlog.get_logger()

#: seconds: a check every 0 s would never end, one that must be answered in 0 s would always fail
_LEAST_SECONDS = 1
#: seconds within which a member is checked for the first time
_SOON = 1.0
#: seconds after which a check is made once more that failed for the agent's own want
_AGAIN = 1.0
#: checks begun before answers are read again
_MOST_AT_ONCE = 100
_LONGEST_WAIT = 60.0


class Prober:
    """Checks the members of all amphorae. Nothing in its thread waits for any of them: a silent member costs one
    entry in a heap. The thread is in a foreign namespace only while it opens sockets there.

    `faults` is called for each error that it survived.
    """

    def __init__(self, faults: Callable[[], None]) -> None:
        self._faults = faults
        self._lock = Lock()
        self._rooms: dict[Watch, Room] = {}
        self._heap: list[tuple[float, int, Target]] = []
        self._tickets = count()
        self._waiting: dict[int, tuple[Room, Channel | Stream]] = {}
        self._epoll = select.epoll()
        self._bell = -1
        self._teller = _Teller(faults)
        self._thread = Thread(target=self._run, name="probes", daemon=True)
        self._stopped = Event()

    def open(self) -> None:
        """Start the threads."""
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._bell, select.EPOLLIN)
        self._thread.start()
        self._teller.start()

    def close(self) -> None:
        """End the threads, and keep the last verdicts on disk."""
        self._stopped.set()
        self._ring()
        self._thread.join()
        self._teller.stop()
        for room in self._rooms.values():
            room.close()
        self._rooms.clear()
        with self._lock:
            bell, self._bell = self._bell, -1
        os.close(bell)
        self._epoll.close()

    def watch(self, namespace: str, memory: Path, on_change: OnChange) -> Watch:
        """A watch that checks nothing yet. `memory`: the file of its verdicts."""
        return Watch(namespace, memory, on_change)

    def follow(self, watch: Watch, spec: Spec) -> None:
        """Check the members that this spec has, in the namespace as it is now. It costs what changed, and a look at
        each member that is checked."""
        with self._lock:
            room = self._rooms.get(watch)
            if room is None:
                room = self._rooms[watch] = Room(watch)
                watch.recall()
            fresh, gone = watch.follow(spec)
            for target in gone:
                self._end(room.forget(target))
                target.due = -1.0
            now = time.monotonic()
            for target in fresh:
                # Spread, and soon: nobody knows yet how they are.
                self._schedule(target, now + random.random() * min(_SOON, _delay(target)))  # noqa: S311 - no secret
            if fresh or gone:
                self._teller.tell(watch)
            self._ring()

    def suspend(self, watch: Watch) -> None:
        """Let go of the namespace; the next check enters it anew. Verdicts stay."""
        with self._lock:
            room = self._rooms.get(watch)
            if room is None:
                return
            self._close(room)
            now = time.monotonic()
            for target in watch.targets():
                if target.started is not None:
                    target.started = None
                    self._schedule(target, now + _AGAIN)

    def forget(self, watch: Watch) -> None:
        """Check nothing of it any more."""
        with self._lock:
            room = self._rooms.pop(watch, None)
            if room is not None:
                self._close(room)
                for target in watch.targets():
                    target.due = -1.0

    # -- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        home = kernel.here()
        try:
            while not self._stopped.is_set():
                try:
                    self._turn(home)
                except Exception:
                    # The outermost loop of the thread: without it every member keeps its last verdict for ever.
                    self._faults()
                    log.exception("checking members failed")
                    kernel.enter(home)
                    time.sleep(_AGAIN)
        finally:
            os.close(home)

    def _turn(self, home: int) -> None:
        events = self._epoll.poll(self._patience())
        with self._lock:
            for descriptor, _mask in events:
                if descriptor == self._bell:
                    os.eventfd_read(self._bell)
                    continue
                found = self._waiting.get(descriptor)
                if found is not None:
                    self._answer(*found)
            self._serve_due(home)

    def _patience(self) -> float:
        with self._lock:
            if not self._heap:
                return _LONGEST_WAIT
            return min(_LONGEST_WAIT, max(0.0, self._heap[0][0] - time.monotonic()))

    def _serve_due(self, home: int) -> None:
        """Timeouts, and checks to begin, until none is due or answers should be read."""
        inside: Watch | None = None
        try:
            for _ in range(_MOST_AT_ONCE):
                now = time.monotonic()
                if not self._heap or self._heap[0][0] > now:
                    break
                due, _ticket, target = heapq.heappop(self._heap)
                room = self._rooms.get(target.watch)
                if room is None or due != target.due:
                    continue
                if target.started is not None:
                    channel = room.channel(target)
                    self._conclude(room, target, success=channel is not None and channel.silence)
                    continue
                if inside is not target.watch and (room.channel(target) is None):
                    inside = self._enter(target, home)
                    if inside is None:
                        continue
                self._begin(room, target, now)
        finally:
            if inside is not None:
                kernel.enter(home)

    def _enter(self, target: Target, home: int) -> Watch | None:
        """Go into the target's namespace; None, and later once more, when it is not there."""
        try:
            kernel.enter_named(target.watch.namespace)
        except OSError:
            kernel.enter(home)
            self._schedule(target, time.monotonic() + _AGAIN)
            return None
        return target.watch

    def _begin(self, room: Room, target: Target, now: float) -> None:
        target.started = now
        self._schedule(target, now + max(_LEAST_SECONDS, target.monitor.timeout))
        try:
            channel = room.open_channel(target)
            if channel is not None:
                self._await(room, channel, select.EPOLLIN)
                verdict = channel.send(target)
            else:
                stream = room.open_stream(target)
                verdict = stream.open()
                self._await(room, stream, stream.events())
        except OSError as error:
            if ours(error):
                self._faults()
                log.warning("member not checked", namespace=target.watch.namespace, reason=str(error))
                self._end(room.drop(target))
                target.started = None
                self._schedule(target, now + _AGAIN)
                return
            verdict = False
        if verdict is not None:
            self._conclude(room, target, success=verdict)

    def _answer(self, room: Room, source: Channel | Stream) -> None:
        if not isinstance(source, Stream):
            for target, success in source.receive():
                if target.started is not None:
                    self._conclude(room, target, success=success)
            return
        before = source.events()
        verdict = source.proceed()
        if verdict is not None:
            self._conclude(room, source.target, success=verdict)
        elif source.events() != before:
            self._epoll.modify(source.fileno(), source.events())

    def _conclude(self, room: Room, target: Target, *, success: bool) -> None:
        """A check is over: count it, and set the time of the next."""
        self._end(room.drop(target))
        started = target.started or 0.0
        target.started = None
        delay = _delay(target)
        if not target.steady:
            # Members that came together do not stay in step.
            target.steady = True
            delay *= random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        # A check that took longer than the delay is followed by the next at once.
        self._schedule(target, started + delay)
        if target.health.take(success=success):
            target.watch.note((target.key,))
            self._teller.tell(target.watch)

    def _schedule(self, target: Target, due: float) -> None:
        """The only entry of the heap for this target that counts is the one with this time."""
        target.due = due
        heapq.heappush(self._heap, (due, next(self._tickets), target))

    # -- descriptors ---------------------------------------------------------------------------------------------

    def _await(self, room: Room, source: Channel | Stream, events: int) -> None:
        descriptor = source.fileno()
        if descriptor not in self._waiting:
            self._waiting[descriptor] = (room, source)
            self._epoll.register(descriptor, events)

    def _end(self, stream: Stream | None) -> None:
        if stream is not None:
            self._leave(stream.fileno())
            stream.close()

    def _close(self, room: Room) -> None:
        for descriptor in [number for number, (owner, _source) in self._waiting.items() if owner is room]:
            self._leave(descriptor)
        room.close()

    def _leave(self, descriptor: int) -> None:
        # Closing does not take it out of epoll while a child of ours that was just forked has it too, and its number
        # may be another connection's the moment after.
        if self._waiting.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def _ring(self) -> None:
        if self._bell >= 0:
            os.eventfd_write(self._bell, 1)


def _delay(target: Target) -> float:
    return max(_LEAST_SECONDS, target.monitor.delay)


class _Teller(Thread):
    """Tells of changed verdicts: whoever is told may take his time."""

    def __init__(self, faults: Callable[[], None]) -> None:
        super().__init__(name="verdicts", daemon=True)
        self._faults = faults
        self._news = Condition()
        self._watches: dict[Watch, None] = {}
        self._stopped = False

    def tell(self, watch: Watch) -> None:
        with self._news:
            self._watches[watch] = None
            self._news.notify()

    def stop(self) -> None:
        with self._news:
            self._stopped = True
            self._news.notify()
        self.join()

    def run(self) -> None:
        while True:
            with self._news:
                while not self._watches and not self._stopped:
                    self._news.wait()
                if not self._watches:
                    return
                watch = next(iter(self._watches))
                del self._watches[watch]
            try:
                watch.deliver()
            except Exception:
                # The outermost loop of the thread: the verdicts of the other amphorae are told all the same.
                self._faults()
                log.exception("changed verdicts not told", namespace=watch.namespace)
