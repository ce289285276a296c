"""From octavia.conf to who may call: strategies, users, policy files, and what is refused at start."""

import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from livia.api.auth import NoAuth, Testing
from livia.api.auth_basic import HttpBasic
from livia.api.policy import AdminPolicy
from livia.api.policy_files import FilePolicy
from livia.api.users import UserFile
from livia.core.clock import SystemClock
from livia.ops import access
from livia.ops.octavia_conf import load
from livia.ops.settings import CONTRACT, EMBEDDED, Settings, SettingsError
from livia.services.context import Context
from livia.services.settings import AccessSettings, CorsSettings, HealthcheckSettings
from livia.store.engine import Database
from tests.api.harness import Harness

CLOCK = SystemClock()


def read(directory: Path, text: str, base: Settings = CONTRACT) -> Settings:
    """Settings from a configuration file."""
    (directory / "octavia.conf").write_text(text)
    settings, warnings = load([directory / "octavia.conf"], base)
    assert warnings == []
    return settings


def test_defaults() -> None:
    assert CONTRACT.access.auth_strategy == "keystone"
    assert EMBEDDED.access.auth_strategy == "noauth"


def test_options_of_access(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        "[api_settings]\nauth_strategy = http_basic\nhttp_basic_user_file = /etc/octavia/users\n"
        "[oslo_policy]\npolicy_file = mine.yaml\npolicy_dirs = a\npolicy_dirs = b\nenforce_new_defaults = False\n"
        "[cors]\nallowed_origin = https://a.example.net,https://b.example.net\nallow_credentials = false\n"
        "max_age = 60\n"
        "[healthcheck]\nbackends = octavia_db_check,disable_by_file\ndetailed = True\n"
        "disable_by_file_path = /run/no\ndisable_by_file_paths = 9876:/run/no, 80:/run/never\n",
    )
    assert settings.access == AccessSettings(auth_strategy="http_basic", http_basic_user_file="/etc/octavia/users")
    policy = settings.policy
    assert (policy.policy_file, policy.policy_dirs, policy.enforce_new_defaults) == ("mine.yaml", ("a", "b"), False)
    assert settings.cors == CorsSettings(
        allowed_origin=("https://a.example.net", "https://b.example.net"), allow_credentials=False, max_age=60
    )
    assert settings.healthcheck == HealthcheckSettings(
        backends=("octavia_db_check", "disable_by_file"),
        detailed=True,
        disable_by_file_path="/run/no",
        disable_by_file_paths=("9876:/run/no", "80:/run/never"),
    )
    assert settings.directories[0] == tmp_path


def test_strategies(tmp_path: Path) -> None:
    users = str(tmp_path / "users")
    UserFile(tmp_path / "users").add("alice", "apple", "shop", ["reader"])
    for name, authenticator, policy in (
        ("noauth", NoAuth, AdminPolicy),
        ("testing", Testing, FilePolicy),
        ("http_basic", HttpBasic, FilePolicy),
    ):
        settings = read(tmp_path, f"[api_settings]\nauth_strategy = {name}\nhttp_basic_user_file = {users}\n")
        assert type(access.authenticator_of(settings, CLOCK)) is authenticator, name
        assert type(access.policy_of(settings, CLOCK)) is policy, name
        assert access.problems(settings) == [], name


def test_the_policy_file_is_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text('"os_load-balancer_api:pool:get_one": "role:auditor"\n')
    settings = read(tmp_path, "[api_settings]\nauth_strategy = testing\n")
    auditor = Context(project_id="p", roles=frozenset({"auditor"}))
    assert access.policy_of(settings, CLOCK).allows(auditor, "os_load-balancer_api:pool:get_one", "q")
    (tmp_path / "policy.yaml").write_text("- x")
    with pytest.raises(SettingsError, match="is not a list of lines"):
        access.policy_of(settings, CLOCK)


def test_what_cannot_be_started(tmp_path: Path) -> None:
    keystone = read(tmp_path, "")
    (sentence,) = access.problems(keystone)
    assert "auth_strategy = keystone" in sentence
    assert "http_basic" in sentence
    with pytest.raises(SettingsError, match="keystone"):
        access.authenticator_of(keystone, CLOCK)
    nobody = read(tmp_path, f"[api_settings]\nauth_strategy = http_basic\nhttp_basic_user_file = {tmp_path}/users\n")
    (sentence,) = access.problems(nobody)
    assert f"no users in {tmp_path}/users" in sentence
    assert "livia user add" in sentence
    (tmp_path / "users").write_text("alice:plain\n")
    with pytest.raises(SettingsError, match="bcrypt"):
        access.authenticator_of(nobody, CLOCK)


def test_broken_health_checks_are_told(tmp_path: Path) -> None:
    settings = read(tmp_path, "[api_settings]\nauth_strategy = noauth\n[healthcheck]\nbackends = rabbit\n")
    database = Database(f"sqlite:///{tmp_path}/livia.db")
    deps = Harness(database).deps
    with pytest.raises(SettingsError, match="'rabbit' is none of"):
        access.application(settings, deps)
    database.engine.dispose()


def test_who_could_reach_an_open_api() -> None:
    for strategy, host, told in (
        ("noauth", "127.0.0.1", False),
        ("noauth", "127.1.2.3", False),
        ("noauth", "::1", False),
        ("noauth", "localhost", False),
        ("noauth", "0.0.0.0", True),
        ("noauth", "::", True),
        ("noauth", "192.0.2.7", True),
        ("noauth", "127.0.0.1.example.net", True),
        ("testing", "0.0.0.0", True),
        ("http_basic", "0.0.0.0", False),
    ):
        settings = replace(
            EMBEDDED,
            server=replace(EMBEDDED.server, bind_host=host),
            access=replace(EMBEDDED.access, auth_strategy=strategy),
        )
        assert bool(access.open_without_authentication(settings)) is told, (strategy, host)


def livia(directory: Path, *arguments: str, entered: str = "") -> "subprocess.CompletedProcess[str]":
    """Run the command as a user does."""
    command = [sys.executable, "-m", "livia.ops.cli", "--state-directory", str(directory), *arguments]
    return subprocess.run(command, input=entered, capture_output=True, text=True, check=False, timeout=60)


def test_the_demo_needs_an_api_that_asks_nobody(tmp_path: Path) -> None:
    (tmp_path / "octavia.conf").write_text("[api_settings]\nauth_strategy = http_basic\n")
    ended = livia(tmp_path, "--config-file", str(tmp_path / "octavia.conf"), "demo")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "auth_strategy = noauth" in ended.stderr


def test_users_on_the_command_line(tmp_path: Path) -> None:
    added = livia(tmp_path, "user", "add", "alice", "--project", "shop", "--role", "admin", entered="apple\n")
    assert added.returncode == 0
    assert all(word in added.stdout for word in ("alice", "shop", "admin"))
    assert "auth_strategy to http_basic" in added.stderr
    user = UserFile(tmp_path / "users").read()["alice"]
    assert (user.project_id, sorted(user.roles)) == ("shop", ["admin"])
    empty = livia(tmp_path, "user", "add", "bob")
    assert (empty.returncode, empty.stderr) == (1, "A password has 1 to 72 bytes.\n")
    assert livia(tmp_path, "user", "remove", "alice").returncode == 0
    listed = livia(tmp_path, "user", "list")
    assert (listed.returncode, "alice" in listed.stdout) == (0, False)
