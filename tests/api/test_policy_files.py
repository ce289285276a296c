"""Policy files that operators edit while the service runs (contract 80, section 6)."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from oslo_policy.policy import PolicyNotRegistered
from structlog.testing import capture_logs

from livia.api.policy_files import FilePolicy
from livia.api.policy_source import PolicyError
from livia.api.rules import name_of
from livia.services.context import Context
from livia.services.settings import PolicySettings
from tests.api.clock import MovableClock
from tests.api.personas import OWN, PERSONAS

READER = PERSONAS["reader"].context
RULE = name_of("pool", "put")
GRANT = f'"{RULE}": "role:reader"\n'
DENY = f'"{RULE}": "!"\n'


class Room:
    """A directory of policy files, a policy on it, and the time."""

    def __init__(self, directory: Path, settings: PolicySettings | None = None) -> None:
        self.directory = directory
        self.clock = MovableClock()
        self.settings = settings or PolicySettings()
        self.policy = FilePolicy(self.settings, (directory,), self.clock)

    def write(self, name: str, text: str) -> None:
        """Write a file, as editors do: with a new one in the place of the old."""
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        temporary = self.directory.parent / "temporary"
        temporary.write_text(text)
        temporary.replace(path)

    def allows(self, context: Context = READER, rule: str = RULE) -> bool:
        """What the policy says when a second has passed."""
        self.clock.pass_(1)
        return self.policy.allows(context, rule, OWN)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    (tmp_path / "etc").mkdir()
    return Room(tmp_path / "etc")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """oslo.policy logs what it does not understand with a traceback, besides what we say."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_edits_count_at_once(room: Room) -> None:
    assert not room.allows()
    room.write("policy.yaml", GRANT)
    assert not room.policy.allows(READER, RULE, OWN)
    assert room.allows()
    room.write("policy.yaml", DENY)
    assert not room.allows(PERSONAS["admin"].context)
    (room.directory / "policy.yaml").unlink()
    assert room.allows(PERSONAS["admin"].context)
    assert not room.allows()


def test_an_edit_within_the_same_tick_of_the_clock(room: Room) -> None:
    room.write("policy.yaml", GRANT)
    assert room.allows()
    before = (room.directory / "policy.yaml").stat().st_mtime_ns
    room.write("policy.yaml", GRANT.replace("reader", "editor"))
    os.utime(room.directory / "policy.yaml", ns=(before, before))
    assert not room.allows()


def test_directories(room: Room) -> None:
    """Files of policy.d count after the policy file, by name; hidden ones and what is no file do not count."""
    room.write("policy.yaml", DENY)
    assert not room.allows()
    room.write("policy.d/10-grant.yaml", GRANT)
    assert room.allows()
    room.write("policy.d/20-deny.yaml", DENY)
    assert not room.allows()
    (room.directory / "policy.d" / "20-deny.yaml").rename(room.directory / "policy.d" / "05-deny.yaml")
    assert room.allows()
    room.write("policy.d/.99-editors-copy", DENY)
    (room.directory / "policy.d" / "99-more").mkdir()
    assert room.allows()


def test_json_and_other_names(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(f'{{"{RULE}": "role:reader"}}')
    assert Room(tmp_path, PolicySettings(policy_file="mine.json")).allows()
    assert Room(Path("/nonexistent"), PolicySettings(policy_file=str(tmp_path / "mine.json"))).allows()
    with capture_logs() as logs:
        assert not Room(tmp_path, PolicySettings(policy_file="typo.json")).allows()
    assert [entry["file"] for entry in logs] == ["typo.json"]


def test_the_nearest_directory_has_the_file(tmp_path: Path) -> None:
    for name, text in (("near", GRANT), ("far", DENY)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "policy.yaml").write_text(text)
    policy = FilePolicy(PolicySettings(), (tmp_path / "none", tmp_path / "near", tmp_path / "far"), MovableClock())
    assert policy.allows(READER, RULE, OWN)


#: the text of a policy file, and what its author is told
BROKEN = [
    ("- [\n", "cannot be read"),
    ("just text\n", "is not a list of lines"),
    ("[1, 2]\n", "is not a list of lines"),
    (f'"{RULE}": 5\n', "is not a list of lines"),
    (f'"{RULE}": "role:a or or role:b"\n', "is not in the policy language"),
    (f'"{RULE}": "reader"\n', "is not in the policy language"),
    (f'"{RULE}": "role:reader and (role:b"\n', "is not in the policy language"),
    (f'"{RULE}": "role:%(project_id)q"\n', "cannot be evaluated"),
    (f'"{RULE}": "1a:x"\n', "cannot be evaluated"),
    ('"load-balancer:write": "rule:load-balancer:write"\n', "refers to itself"),
    ('"service": "rule:more or role:x"\n"more": "not rule:service"\n', "refers to itself"),
]


def test_broken_files_leave_the_rules_before(room: Room) -> None:
    room.write("policy.yaml", GRANT)
    assert room.allows()
    for text, sentence in BROKEN:
        room.write("policy.yaml", text)
        with capture_logs() as logs:
            assert room.allows(), text
        (entry,) = logs
        assert entry["log_level"] == "error", text
        assert sentence in entry["error"], text
        assert str(room.directory / "policy.yaml") in entry["error"], text
        # Told once, not at every request.
        with capture_logs() as logs:
            assert room.allows()
        assert logs == []
    room.write("policy.yaml", DENY)
    assert not room.allows()


def test_nothing_starts_on_broken_files(room: Room) -> None:
    for text, sentence in BROKEN:
        room.write("policy.yaml", text)
        with pytest.raises(PolicyError, match=sentence):
            Room(room.directory)


def test_unknown_rules_are_ignored(room: Room) -> None:
    room.write("policy.yaml", '"os_load-balancer_api:nothing:get": "!"\n"other": "rule:nowhere"\n' + GRANT)
    assert room.allows()


def test_rules_of_ones_own_and_the_default_rule(room: Room) -> None:
    room.write("policy.yaml", f'"auditors": "role:reader and user_id:anna"\n"{RULE}": "rule:auditors"\n')
    assert not room.allows()
    assert room.allows(Context(project_id=OWN, roles=frozenset({"reader"}), user_id="anna"))
    # What is referred to and not defined is the default rule, and without one never true.
    room.write("policy.yaml", f'"{RULE}": "rule:nowhere"\n')
    assert not room.allows()
    room.write("policy.yaml", f'"{RULE}": "rule:nowhere"\n"default": "role:reader"\n')
    assert room.allows()


def test_admins_are_whom_the_rule_says(room: Room) -> None:
    boss = Context(project_id="operators", roles=frozenset({"boss"}))
    assert not room.allows(boss)
    room.write("policy.yaml", '"context_is_admin": "role:boss"\n')
    assert room.allows(boss)


def test_answers_are_remembered_by_who_asks_about_what(room: Room) -> None:
    """A second caller who differs in one thing only gets an answer of its own."""
    room.write(
        "policy.yaml", f'"{RULE}": "user_id:anna and domain_id:d and user_domain_id:u and project_domain_id:p"\n'
    )
    parts: dict[str, Any] = {"user_id": "anna", "domain_id": "d", "user_domain_id": "u", "project_domain_id": "p"}
    assert not room.allows(Context(**parts))  # a token for a domain is refused by its scope
    room.write("policy.yaml", f'"{RULE}": "user_id:anna and user_domain_id:u and project_domain_id:p"\n')
    del parts["domain_id"]
    assert room.allows(Context(**parts))
    for name in parts:
        assert not room.allows(Context(**{**parts, name: "x"})), name
    assert not room.allows(Context(**parts, domain_id="d"))
    assert not room.allows(Context(**parts, system_scope="all"))
    assert room.allows(Context(**parts, request_id="req-x"))


def test_a_rule_of_no_catalogue_is_a_mistake_of_ours(room: Room) -> None:
    with pytest.raises(PolicyNotRegistered):
        room.allows(rule=name_of("pool", "paint"))
