"""What the kernel does with the packets of one amphora."""

import json
from collections.abc import Mapping, Set
from threading import Lock

import structlog
from msgspec import Struct

from livia.agent.datagram import parting, report, ruleset
from livia.agent.datagram.conntrack import Conntrack
from livia.agent.datagram.nftables import Nftables
from livia.agent.datagram.pace import Pace
from livia.agent.datagram.service import Verdicts
from livia.agent.datagram.table import TABLE, Loaded, Ruleset, digests, read, transaction
from livia.agent.errors import PlumbingError
from livia.agent.meter import Reading
from livia.agent.plumbing import kernel
from livia.core.model.pool import Algorithm
from livia.core.report import PoolReport
from livia.core.spec import Spec


class Passage(Struct, frozen=True):
    """One look at UDP and SCTP. `namespace`: whose counters these are; the rest by listener or `{pool}:{listener}`."""

    namespace: int = 0
    readings: dict[str, Reading] = {}
    connections: dict[str, int] = {}
    statuses: dict[str, str] = {}
    pools: dict[str, PoolReport] = {}


_NOTHING = Passage()

log = structlog.get_logger()


class Packets:
    """The nftables table in an amphora's namespace, and the flows that go through it.

    Whoever changes something holds the amphora's lock; `look` needs none.
    """

    def __init__(self, namespace: str, verdicts: Verdicts, pace: Pace) -> None:
        self._namespace = namespace
        self._verdicts = verdicts
        self._pace = pace
        #: a look is not to open what is being closed
        self._lock = Lock()
        self._nftables: Nftables | None = None
        self._conntrack: Conntrack | None = None
        #: what the kernel has; None when only an earlier agent knows
        self._loaded: Loaded | None = None
        #: what that was made of; None when only an earlier agent knows
        self._applied: Ruleset | None = None
        #: open ones by mark, at the last count
        self._flows: Mapping[int, int] = {}
        #: whether the kernel follows as many flows as it may
        self._full = False
        #: whether the last look found that other members are the least loaded now
        self.unbalanced = False

    def begin(self) -> None:
        """The namespace was just made: nothing is in it."""
        self.close()
        with self._lock:
            self._loaded, self._applied = Loaded(), Ruleset()

    def close(self) -> None:
        """Let go of the namespace. What is in it goes on."""
        with self._lock:
            self._let_go()
            self._loaded = self._applied = None

    def apply(self, spec: Spec) -> None:
        """Make rules and flows what the spec and the members' health say. What is so already is not touched: no
        counter, no remembered client, no turn is lost.

        Raises PlumbingError; the rules are then what they were.
        """
        wanted = ruleset.render(spec, self._verdicts, self._flows)
        if not wanted.objects and self._loaded is not None and not self._loaded.objects:
            # Most amphorae have no packet rules: that costs nothing.
            return
        try:
            with self._lock:
                dismissed = self._reroute(wanted)
            # Without the lock: heartbeats go on.
            parting.await_answers(self._namespace, dismissed)
            with self._lock:
                self._load(wanted)
                if not wanted.objects:
                    self._let_go()
        except OSError as error:
            raise PlumbingError("The packet rules could not be changed.", details=str(error)) from error

    def balance(self, spec: Spec) -> None:
        """Begin new turns where other members are the least loaded now. Raises PlumbingError."""
        if self.unbalanced:
            self.unbalanced = False
            self.apply(spec)

    def look(self, spec: Spec) -> Passage:
        """What passes. Raises PlumbingError, also when rules that should be there are not, and OSError."""
        if not any(listener.datagram for listener in spec.listeners):
            return _NOTHING
        with self._lock:
            if self._applied is None:
                raise PlumbingError("The packet rules are not in place.")
            if not self._applied.services:
                return _NOTHING
            namespace = kernel.identity(self._namespace)
            counters = self._counters()
            flows = self._count()
        if flows != self._flows:
            self._flows = flows
            self.unbalanced = any(pool.algorithm is Algorithm.LEAST_CONNECTIONS for pool in spec.pools)
        connections = report.open_flows(spec, flows)
        return Passage(
            namespace=namespace,
            readings=report.readings(spec, counters),
            connections=connections,
            statuses=report.statuses(spec, connections, full=self._full),
            pools=report.pools(spec, self._verdicts),
        )

    def _count(self) -> Mapping[int, int]:
        """Open flows by mark: counted now when there are any and it is this amphora's turn."""
        followed, most = self._follow().occupied()
        full = 0 < most <= followed
        if full and not self._full:
            log.warning(
                "the kernel follows as many flows as it may: new ones are dropped until others end",
                namespace=self._namespace,
                flows=followed,
                remedy="raise net.netfilter.nf_conntrack_max of this machine, or set connection limits",
            )
        self._full = full
        if not followed:
            self._pace.forget(self._namespace)
            return {}
        if not self._pace.due(self._namespace):
            return self._flows
        with self._pace.counting(self._namespace):
            return self._follow().marks(report.MOST_COUNTED)

    def _reroute(self, wanted: Ruleset) -> Set[int]:
        """Let only new flows find the members that stay; the others' go on for now: what comes between the commit of
        the strict rules and the end of those flows would else be dropped.

        Returns the marks of members that were taken away and live: what their clients wait for can still come.
        """
        before = self._applied
        if before is None or not before.marks - wanted.marks:
            return set()
        self._commit(wanted.lenient())
        # Without its listener no answer passes.
        return before.marks - wanted.marks - wanted.down if before.services <= wanted.services else set()

    def _load(self, wanted: Ruleset) -> None:
        before = self._applied
        if before is not None and before.marks - wanted.marks:
            self._end_flows(before, wanted)
        self._commit(wanted)
        self._applied = wanted
        if before is None or bool(before.services) != bool(wanted.services):
            kernel.inside(self._namespace, lambda: kernel.write_sysctls(_forwarding(wanted)))
        self._end_flows(before, wanted)

    def _commit(self, wanted: Ruleset) -> None:
        if self._loaded is None:
            there = TABLE in self._rules().run("list tables")
            self._loaded = read(self._rules().list_terse(f"list table {TABLE}") if there else "")
        commands = transaction(self._loaded, wanted)
        if commands:
            self._rules().run(commands)
        self._loaded = Loaded(set(wanted.objects), digests(wanted))

    def _end_flows(self, before: Ruleset | None, wanted: Ruleset) -> None:
        """Clients whose member is gone choose anew with their next packet; those that came before the listener, too."""
        if before is None:
            before = Ruleset(marks=set(self._follow().marks()))
        for mark in before.marks - wanted.marks:
            self._follow().end_marked(mark)
        for service in wanted.services - before.services:
            self._follow().end_unmarked(*service)

    def _counters(self) -> dict[str, tuple[int, int]]:
        """(packets, bytes) by name."""
        listed = json.loads(self._rules().list_json(f"list counters table {TABLE}"))["nftables"]
        counters = (each["counter"] for each in listed if "counter" in each)
        return {each["name"]: (each["packets"], each["bytes"]) for each in counters}

    def _rules(self) -> Nftables:
        if self._nftables is None:
            self._nftables = Nftables(self._namespace)
        return self._nftables

    def _follow(self) -> Conntrack:
        if self._conntrack is None:
            self._conntrack = Conntrack(self._namespace)
        return self._conntrack

    def _let_go(self) -> None:
        if self._nftables is not None:
            self._nftables.close()
        if self._conntrack is not None:
            self._conntrack.close()
        self._nftables = self._conntrack = None
        self._pace.forget(self._namespace)


def _forwarding(wanted: Ruleset) -> tuple[tuple[str, str], ...]:
    """An amphora is a router only for what it balances."""
    value = "1" if wanted.services else "0"
    return ("ipv4/ip_forward", value), ("ipv6/conf/all/forwarding", value)
