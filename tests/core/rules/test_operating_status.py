"""Operating statuses of rows and reports made up at random; what each text of a report means is in tests/health."""

from hypothesis import given
from hypothesis import strategies as st

from livia.core.model.status import Operating, Provisioning
from livia.core.report import Heartbeat, ListenerCounters, ListenerReport, PoolReport
from livia.core.rules.operating_status import Confirmed, Observed, Part, PoolPart, Statuses, derive, learn

_TEXTS = ("UP", "UP 1/3", "DOWN", "DOWN 1/2", "DRAIN", "MAINT", "no check", "RESTARTING")
_SEVERITY = (Operating.ONLINE, Operating.DEGRADED, Operating.ERROR)
_GENERATIONS = st.integers(min_value=0, max_value=4)


def _ids(prefix: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from([f"{prefix}{number}" for number in range(4)]), unique=True)


@st.composite
def _parts(draw: st.DrawFn, prefix: str) -> tuple[Part, ...]:
    return tuple(
        Part(key, draw(st.sampled_from(Operating)), draw(_GENERATIONS), draw(st.booleans()))
        for key in draw(_ids(prefix))
    )


@st.composite
def _trees(draw: st.DrawFn) -> Observed:
    return Observed(
        id="lb",
        enabled=draw(st.booleans()),
        operating_status=draw(st.sampled_from(Operating)),
        provisioning_status=draw(st.sampled_from((Provisioning.ACTIVE, Provisioning.PENDING_UPDATE))),
        generation=4,
        listeners=draw(_parts("l")),
        pools=tuple(
            PoolPart(key, draw(st.sampled_from(Operating)), draw(_GENERATIONS), draw(_parts(f"{key}-m")))
            for key in draw(_ids("p"))
        ),
        amphorae={},
    )


@st.composite
def _reports(draw: st.DrawFn) -> Heartbeat:
    """Of objects that there may be, or not."""
    opened = st.builds(
        ListenerReport, status=st.sampled_from(("OPEN", "FULL")), stats=st.builds(ListenerCounters, tx=st.just(0))
    )
    pools = {
        f"{key}:l0": PoolReport(
            status=draw(st.sampled_from(("UP", "DOWN"))),
            members={member: draw(st.sampled_from(_TEXTS)) for member in draw(_ids(f"{key}-m"))},
        )
        for key in draw(_ids("p"))
    }
    listeners = {key: draw(opened) for key in draw(_ids("l"))}
    return Heartbeat(id="a", seq=1, generation=draw(_GENERATIONS), listeners=listeners, pools=pools)


def _rows(tree: Observed, now: Statuses) -> tuple[dict[str, Operating], dict[str, Operating]]:
    """What rows say when `now` is written: of listeners and pools, and of members."""
    top = {listener.id: listener.operating_status for listener in tree.listeners}
    top |= {pool.id: pool.operating_status for pool in tree.pools}
    members = {each.id: each.operating_status for pool in tree.pools for each in pool.members}
    return top | dict(now.listeners) | dict(now.pools), members | dict(now.members)


@given(tree=_trees(), report=_reports())
def test_a_report_speaks_for_all_that_did_not_change_after_it(tree: Observed, report: Heartbeat) -> None:
    now = derive(tree, report)
    old = [pool for pool in tree.pools if pool.generation <= report.generation]
    assert now.listeners.keys() == {each.id for each in tree.listeners if each.generation <= report.generation}
    assert now.pools.keys() == {pool.id for pool in old}
    assert now.members.keys() == {
        each.id for pool in old for each in pool.members if each.generation <= report.generation
    }


@given(tree=_trees(), report=_reports())
def test_a_load_balancer_is_as_bad_as_its_worst_child(tree: Observed, report: Heartbeat) -> None:
    now = derive(tree, report)
    children, _members = _rows(tree, now)
    found = [_SEVERITY.index(status) for status in children.values() if status in _SEVERITY]
    worst = _SEVERITY[max(found, default=0)]
    assert now.load_balancer is (worst if tree.enabled else Operating.OFFLINE)


@given(tree=_trees(), report=_reports())
def test_a_pool_that_is_up_is_degraded_while_any_member_is_in_error(tree: Observed, report: Heartbeat) -> None:
    now = derive(tree, report)
    _children, members = _rows(tree, now)
    up = {key.partition(":")[0] for key, pool in report.pools.items() if pool.status == "UP"}
    for pool in tree.pools:
        if tree.enabled and pool.id in up & now.pools.keys():
            failing = Operating.ERROR in [members[each.id] for each in pool.members]
            assert now.pools[pool.id] is (Operating.DEGRADED if failing else Operating.ONLINE)


@given(tree=_trees(), report=_reports())
def test_nothing_of_a_disabled_load_balancer_is_online(tree: Observed, report: Heartbeat) -> None:
    now = derive(tree, report)
    if not tree.enabled:
        said = (now.load_balancer, *now.listeners.values(), *now.pools.values(), *now.members.values())
        assert set(said) <= {Operating.OFFLINE, Operating.NO_MONITOR}


class Agent:
    """One that tells no generation, as somebody hears it who reads its row now and then. `runs`: what each heartbeat
    was sent of, by when it came."""

    def __init__(self) -> None:
        self.confirmed = 0
        self.now = 0.0
        self.runs: dict[float, int] = {}
        self.known: Confirmed | None = None

    def beat(self, late: bool) -> None:
        """`late`: sent before every confirmation that nobody has learnt of yet."""
        learnt = 0 if self.known is None else self.known.generation
        self.now += 1
        self.runs[self.now] = learnt if late else self.confirmed

    def look(self) -> int:
        """What the last heartbeat is taken to stand for."""
        self.known = learn(self.known, self.confirmed, self.now, self.now)
        return self.known.stands_for(self.now)


@given(steps=st.lists(st.sampled_from(("change", "beat", "late beat", "look")), max_size=40))
def test_a_heartbeat_without_a_generation_is_never_believed_of_more_than_it_was_sent_of(steps: list[str]) -> None:
    agent = Agent()
    for step in steps:
        if step == "change":
            agent.confirmed += 1
        elif step == "look" and agent.runs:
            assert agent.look() <= agent.runs[agent.now]
        elif step.endswith("beat"):
            agent.beat(late=step == "late beat")
    # And of all of it as soon as one came after a look.
    agent.beat(late=False)
    agent.look()
    agent.beat(late=False)
    assert agent.look() == agent.confirmed


def test_what_an_agent_was_heard_to_run_before_a_change_stands_until_it_is_heard_again() -> None:
    known = learn(Confirmed(3, 10.0, 0), 4, 20.0, 20.0)
    assert [known.stands_for(heard) for heard in (20.0, 20.1)] == [3, 4]
    # A heartbeat that came between the look at another and the row's read.
    known = learn(Confirmed(3, 10.0, 2), 4, 10.0, 20.0)
    assert [known.stands_for(heard) for heard in (10.0, 20.0, 20.1)] == [2, 2, 4]


def test_a_spec_that_is_to_be_sent_again_changes_nothing_of_what_an_agent_runs() -> None:
    known = Confirmed(3, 10.0, 2)
    assert learn(known, 0, 20.0, 20.0) is known
    assert learn(known, 3, 20.0, 20.0) is known


def test_a_database_restored_from_a_backup_is_believed() -> None:
    known = learn(Confirmed(7, 10.0, 6), 4, 20.0, 20.0)
    assert [known.stands_for(heard) for heard in (20.0, 30.0)] == [4, 4]
