"""`auth_strategy = http_basic`: users, passwords and what they may do (docs/authentication.md)."""

import base64
import stat
import time
from pathlib import Path

import bcrypt
import pytest
from structlog.testing import capture_logs

from livia.api.auth_basic import HttpBasic
from livia.api.policy_files import FilePolicy
from livia.api.users import UserFile, UserFileError
from livia.services.settings import PolicySettings
from livia.store.engine import Database
from tests.api.client import Answer, Client
from tests.api.clock import MovableClock
from tests.api.harness import SUBNET, Harness


def line(name: str, password: str, version: str = "2b") -> str:
    """A line of htpasswd, with the cheapest hash there is."""
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    return f"{name}:{hashed.replace('$2b$', f'${version}$')}\n"


def basic(name: str, password: str) -> dict[str, str]:
    """What clients send."""
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


class Room:
    """A user file, an application that knows its users, and the time."""

    def __init__(self, database: Database, directory: Path) -> None:
        self.path = directory / "users"
        self.projects = directory / "users.projects"
        self.path.write_text(line("alice", "apple") + "# a comment\n\n" + line("bob", "pear", "2y"))
        self.projects.write_text("alice:shop:member,reader\nbob:shop:reader\nroot:operators:admin\n")
        self.clock = MovableClock()
        self.harness = Harness(
            database,
            authenticator=HttpBasic(UserFile(self.path), self.clock),
            policy=FilePolicy(PolicySettings(), (), self.clock),
        )

    def get(self, name: str, password: str) -> Answer:
        """A list, a second later."""
        self.clock.pass_(1)
        return self.harness.client.request("GET", "/pools", headers=basic(name, password))


@pytest.fixture
def room(database: Database, tmp_path: Path) -> Room:
    return Room(database, tmp_path)


def test_users_have_a_project_and_roles(room: Room) -> None:
    alice = Client(room.harness.app, headers=basic("alice", "apple"))
    bob = Client(room.harness.app, headers=basic("bob", "pear"))
    created = alice.post("/loadbalancers", {"loadbalancer": {"vip_subnet_id": SUBNET}})
    assert (created.status, created.json["loadbalancer"]["project_id"]) == (201, "shop")
    path = f"/loadbalancers/{created.json['loadbalancer']['id']}"
    assert bob.get(path).status == 200
    assert bob.delete(path).status == 403
    assert alice.delete(path).status == 204


def test_identity_headers_are_not_believed(room: Room) -> None:
    lies = {"X-Roles": "admin", "X-Project-Id": "other", "OpenStack-System-Scope": "all"}
    client = Client(room.harness.app, headers=basic("bob", "pear") | lies)
    assert client.get("/pools", project_id="other").status == 403
    assert client.post("/loadbalancers", {"loadbalancer": {"vip_subnet_id": SUBNET}}).status == 403
    assert Client(room.harness.app, headers=lies).get("/pools").status == 401


REFUSED: list[dict[str, str]] = [
    {},
    {"Authorization": ""},
    {"Authorization": "Basic"},
    {"Authorization": "Basic !!!"},
    {"Authorization": "Basic " + base64.b64encode(b"alice").decode()},
    {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe:x").decode()},
    {"Authorization": "Basic \xff"},
    {"Authorization": "Bearer " + basic("alice", "apple")["Authorization"][6:]},
    {"X-Auth-Token": "gAAAA"},
    basic("alice", ""),
    basic("alice", "pear"),
    basic("alice", "apple "),
    basic("Alice", "apple"),
    basic("", "apple"),
    basic("nobody", "apple"),
    basic("alice", "apple\0"),
    basic("alice", "a" * 73),
    basic("root", ""),
]


def test_strangers(room: Room) -> None:
    for headers in REFUSED:
        answer = room.harness.client.request("GET", "/pools", headers=headers)
        assert answer.status == 401, headers
        assert answer.json["error"]["code"] == 401
        assert answer.headers["www-authenticate"] == 'Basic realm="Livia", charset="UTF-8"'
    scheme = {"Authorization": basic("alice", "apple")["Authorization"].replace("Basic", "bASIC")}
    assert room.harness.client.request("GET", "/pools", headers=scheme).status == 200


def test_any_letter_in_a_password(room: Room) -> None:
    room.path.write_text(line("zoë", "pâté: 🍐"))
    room.projects.write_text("zoë:shop:reader\n")
    assert room.get("zoë", "pâté: 🍐").status == 200


def test_edits_count_at_once(room: Room) -> None:
    assert room.get("alice", "apple").status == 200
    room.path.write_text(line("alice", "plum"))
    assert (room.get("alice", "apple").status, room.get("alice", "plum").status) == (401, 200)
    assert room.get("bob", "pear").status == 401
    room.projects.write_text("alice:shop:\n")
    assert room.get("alice", "plum").status == 403
    room.projects.unlink()
    assert room.get("alice", "plum").status == 403
    room.path.unlink()
    assert room.get("alice", "plum").status == 401


#: text of the two files, and what is wrong with them
BROKEN = [
    ("alice:$apr1$x$y\n", "", "line 1: the password is not hashed by bcrypt"),
    ("\nalice:secret\n", "", "line 2: the password is not hashed by bcrypt"),
    ("alice\n", "", "line 1: there should be 2 fields"),
    (line("alice", "x"), "alice:shop\n", "line 1: there should be 3 fields"),
    (line("alice", "x"), "\nalice:shop:member:reader\n", "line 2: there should be 3 fields"),
    (":x\n", "", "line 1: there should be 2 fields"),
]


def test_broken_files_leave_the_users_before(room: Room) -> None:
    for users, projects, sentence in BROKEN:
        room.path.write_text(users)
        room.projects.write_text(projects)
        with capture_logs() as logs:
            assert room.get("alice", "apple").status == 200, sentence
        (entry,) = logs
        assert sentence in entry["error"]
        with pytest.raises(UserFileError, match=sentence):
            HttpBasic(UserFile(room.path), room.clock)


def test_a_password_is_checked_once(room: Room) -> None:
    """A known header costs no bcrypt: a hundred requests take less than ten checks of cost 12 do."""
    hashed = bcrypt.hashpw(b"apple", bcrypt.gensalt(12)).decode()
    room.path.write_text(f"alice:{hashed}\n")
    assert room.get("alice", "apple").status == 200
    start = time.process_time()
    bcrypt.checkpw(b"apple", hashed.encode())
    once = time.process_time() - start
    start = time.process_time()
    headers = basic("alice", "apple")
    for _ in range(100):
        assert room.harness.client.request("GET", "/v2", root="", headers=headers).status == 200
    assert time.process_time() - start < 10 * once


def test_adding_and_removing(tmp_path: Path) -> None:
    file = UserFile(tmp_path / "new" / "users")
    assert not file.exists()
    assert file.read() == {}
    file.add("alice", "apple", "shop", ["member", "reader"])
    file.add("bob", "pear", "shop", [])
    (tmp_path / "new" / "users").write_text("# who\n" + (tmp_path / "new" / "users").read_text())
    file.add("alice", "plum", "other", ["admin"])
    users = file.read()
    assert list(users) == ["alice", "bob"]
    assert (users["alice"].project_id, sorted(users["alice"].roles)) == ("other", ["admin"])
    assert bcrypt.checkpw(b"plum", users["alice"].password_hash)
    assert (users["bob"].project_id, sorted(users["bob"].roles)) == ("shop", [])
    file.remove("alice")
    assert list(file.read()) == ["bob"]
    assert (tmp_path / "new" / "users").read_text().startswith("# who\nbob:$2b$12$")
    assert (tmp_path / "new" / "users.projects").read_text() == "bob:shop:\n"
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").iterdir()} == {0o600}


#: name, password, project, roles, and what is wrong with them
IMPOSSIBLE = [
    ("", "x", "p", ["member"], "A user's name"),
    ("a:b", "x", "p", ["member"], "A user's name"),
    ("a\nb", "x", "p", ["member"], "A user's name"),
    ("a", "", "p", ["member"], "1 to 72 bytes"),
    ("a", "é" * 37, "p", ["member"], "1 to 72 bytes"),
    ("a", "x", "p:q", ["member"], "A project id"),
    ("a", "x", "", ["member"], "A project id"),
    ("a", "x", "p" * 37, ["member"], "A project id"),
    ("a", "x", "p", ["member,admin"], "A role has no"),
    ("a", "x", "p", ["x\nroot:p:admin"], "A role has no"),
]


def test_what_cannot_be_added(tmp_path: Path) -> None:
    file = UserFile(tmp_path / "users")
    for name, password, project, roles, sentence in IMPOSSIBLE:
        with pytest.raises(UserFileError, match=sentence):
            file.add(name, password, project, roles)
    with pytest.raises(UserFileError, match="There is no user a in"):
        file.remove("a")
    assert not list(tmp_path.iterdir())
