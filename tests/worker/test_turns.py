"""Whose turn it is, by value."""

from livia.store.work import Due, Priority
from livia.worker.turns import Turns


def _due(key: str, project: str | None, priority: Priority = Priority.USER, *, crashes: int = 0) -> Due:
    return Due(
        key=key,
        project_id=project,
        priority=priority,
        version=1,
        attempts=crashes,
        spent=0.0,
        crashes=crashes,
        late=0.0,
        request_id=None,
    )


def _keys(taken: list[Due]) -> list[str]:
    return [entry.key for entry in taken]


def test_projects_take_turns() -> None:
    due = [_due("a1", "a"), _due("a2", "a"), _due("a3", "a"), _due("b1", "b")]
    assert _keys(Turns(8).take(due, {}, 3)) == ["a1", "b1", "a2"]


def test_a_newcomer_goes_before_what_waited_longer_of_a_project_that_had_its_turn() -> None:
    turns = Turns(1)
    assert _keys(turns.take([_due("a1", "a"), _due("a2", "a")], {}, 1)) == ["a1"]
    assert _keys(turns.take([_due("a2", "a"), _due("b1", "b")], {}, 1)) == ["b1"]
    assert _keys(turns.take([_due("a2", "a"), _due("b2", "b")], {}, 1)) == ["a2"]


def test_what_is_urgent_goes_before_every_turn() -> None:
    due = [_due("b1", "b"), _due("a1", "a", Priority.FAILOVER), _due("a2", "a", Priority.FAILOVER)]
    assert _keys(Turns(8).take(due, {}, 2)) == ["a1", "a2"]


def test_one_project_never_occupies_the_last_thread() -> None:
    turns = Turns(4)
    due = [_due(f"a{number}", "a") for number in range(4)]
    assert _keys(turns.take(due, {}, 4)) == ["a0", "a1", "a2"]
    assert _keys(turns.take(due[3:], {"a": 3}, 1)) == []
    assert _keys(turns.take([due[3], _due("b1", "b")], {"a": 3}, 1)) == ["b1"]


def test_what_is_stalled_costs_the_others_of_its_project_nothing_until_it_is_too_much() -> None:
    turns = Turns(4)
    due = [_due(f"a{number}", "a") for number in range(8)]
    assert _keys(turns.take(due, {}, 4, {"a": 3})) == ["a0", "a1", "a2"]
    assert _keys(turns.take(due, {"a": 2}, 4, {"a": 3})) == ["a0"]
    # Six in all, however long they take.
    assert _keys(turns.take(due, {}, 4, {"a": 5})) == ["a0"]
    assert _keys(turns.take([*due, _due("b1", "b")], {}, 4, {"a": 6})) == ["b1"]


def test_a_single_thread_works_for_everybody() -> None:
    assert _keys(Turns(1).take([_due("a1", "a")], {}, 1)) == ["a1"]


def test_what_may_be_the_end_of_its_worker_is_taken_one_at_a_time_beside_all_others() -> None:
    due = [_due("a1", "a", crashes=2), _due("a2", "a", crashes=3), _due("a3", "a", crashes=1), _due("b1", "b")]
    due += [_due("b2", "b", crashes=2)]
    assert _keys(Turns(8).take(due, {}, 8)) == ["a1", "b1", "a3"]
    assert _keys(Turns(8).take(due, {"c": 1}, 8, suspected=True)) == ["a3", "b1"]
    # One whose project has no turn now keeps nobody else's waiting.
    assert _keys(Turns(4).take(due, {"a": 3}, 8)) == ["b1", "b2"]
