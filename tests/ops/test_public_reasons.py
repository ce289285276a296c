"""What everybody may read of an API that cannot start: where to look, and nothing of what is in any file."""

from contextlib import closing, suppress
from pathlib import Path

import pytest

from livia.core.wake import NoWake
from livia.ops import access
from livia.ops.metrics import OFFSETS
from livia.ops.octavia_conf import load
from livia.ops.processes import Processes, public_reason
from livia.ops.readiness import Readiness
from tests.ops.test_stand_in import supervised
from tests.ports import free_run
from tests.waiting import wait_for

#: what no answer may have, nor any part of it
SECRET = "k1r5che-pfl4ume"
RULE = "os_load-balancer_api:pool:put"
CONF = """
[DEFAULT]
transport_url = rabbit://livia:{secret}@queue/
[database]
connection = {url}
[api_settings]
auth_strategy = http_basic
http_basic_user_file = {directory}/users
[controller_worker]
network_driver = network_noop_driver
amphora_driver = amphora_noop_driver
[certificates]
cert_manager = local_vault
vault_key = {directory}/vault.key
[livia]
wake_socket = {directory}/wake.sock
metrics_port = {metrics}
"""
VAULT_KEY = "The file of [certificates] vault_key is not there or damaged: its log says which."
SETTING = "Its log tells of a setting that cannot be used."

#: what is written to which file beside octavia.conf, and the reason that clients get
FILES = {
    "a line that is no YAML": (
        "policy.yaml",
        f'"a": "!"\n"{RULE}": "http://admin:{SECRET}@host/": x\n',
        "The policy file {}/policy.yaml cannot be read at line 2, column 70: mapping values are not allowed here.",
    ),
    "an alias of nothing": (
        "policy.yaml",
        f"a: *{SECRET}\n",
        "The policy file {}/policy.yaml cannot be read at line 1, column 4: it is not YAML.",
    ),
    "bytes of no encoding": (
        "policy.yaml",
        f"\udcff{SECRET}\n",
        "The policy file {}/policy.yaml cannot be read: it is not YAML.",
    ),
    "no rules": ("policy.yaml", f"- {SECRET}\n", "The policy file {}/policy.yaml is not a list of lines of the form"),
    "a number": (
        "policy.yaml",
        f'"a": "!"\n{SECRET}: 5\n',
        "The policy file {}/policy.yaml, line 2, is not a list of lines",
    ),
    "no check": (
        "policy.d/mine.yaml",
        f'"a": "!"\n\n"{SECRET}": "role:a or {SECRET} or"\n',
        "The policy file {}/policy.d/mine.yaml, line 3, has a check that is not in the policy language.",
    ),
    "no evaluable check": (
        "policy.yaml",
        f'"{RULE}": "role:{SECRET}%(project_id)q"\n',
        "The policy file {}/policy.yaml, line 1, has a check that cannot be evaluated.",
    ),
    "a check of itself": (
        "policy.yaml",
        f'"{SECRET}": "rule:{SECRET}"\n',
        "The policy file {}/policy.yaml, line 1, has a check that refers to itself.",
    ),
    "a password": ("users", f"# all\n{SECRET}:{SECRET}\n", "{}/users, line 2: the password is not hashed by bcrypt"),
    "a password alone": (
        "users",
        f"{SECRET}\n",
        "{}/users, line 1: there should be 2 fields with colons between them.",
    ),
    "roles": ("users.projects", f"\n{SECRET}\n", "{}/users.projects, line 2: there should be 3 fields"),
    "users of no encoding": ("users", f"\udcff{SECRET}\n", "{}/users cannot be read: it is not UTF-8."),
    "a vault key of words": ("vault.key", SECRET, VAULT_KEY),
    "a vault key of no encoding": ("vault.key", f"\udcff{SECRET}", VAULT_KEY),
    "a vault key cut short": ("vault.key", SECRET.encode().hex(), VAULT_KEY),
}

#: what octavia.conf has besides, and the reason
OPTIONS = {
    "a health check": (f"[healthcheck]\nbackends = {SECRET}\n", "[healthcheck] cannot be used: its log says why."),
    "health check's files": (
        f"[healthcheck]\ndisable_by_file_paths = {SECRET}\n",
        "[healthcheck] cannot be used: its log says why.",
    ),
    "a driver": (f"[controller_worker]\nnetwork_driver = {SECRET}\n", SETTING),
    "a passphrase": (f"[certificates]\nserver_certs_key_passphrase = {SECRET}\n", SETTING),
    "a key in place of its file": (f"[certificates]\nvault_key = {SECRET}\n", VAULT_KEY),
    "no strategy": ("[api_settings]\nauth_strategy = keystone\n", SETTING),
    "a URL that is none": (f"[database]\nconnection = {SECRET}\n", "Its log tells of an unexpected ArgumentError."),
    "a URL of another database": (
        f"[database]\nconnection = oracle9://livia:{SECRET}@host/livia\n",
        "Its log tells of an unexpected NoSuchModuleError.",
    ),
    "a URL with a wrong port": (
        f"[database]\nconnection = mysql+pymysql://livia:{SECRET}@host:{SECRET}/livia\n",
        "Its log tells of an unexpected ",
    ),
}


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """An octavia.conf with which the API starts."""
    (tmp_path / "policy.d").mkdir()
    (tmp_path / "vault.key").write_text("ab" * 32)
    url = f"sqlite:///{tmp_path}/livia.db"
    path = tmp_path / "octavia.conf"
    path.write_text(CONF.format(secret=SECRET, url=url, directory=tmp_path, metrics=free_run(len(OFFSETS))))
    return path


def reason_of(octavia_conf: Path) -> str:
    """Why an API with this octavia.conf does not start."""
    readiness = Readiness()
    settings, _warnings = load([octavia_conf])
    with suppress(Exception), readiness.starting(public_reason):
        deps = Processes(settings, "test").dependencies(NoWake())
        with closing(deps.database):
            access.application(settings, deps)
    assert readiness.failed
    return readiness.reason


@pytest.mark.parametrize("what", FILES)
def test_nothing_of_a_broken_file_is_told(conf: Path, what: str) -> None:
    name, text, reason = FILES[what]
    (conf.parent / name).write_text(text, errors="surrogateescape")
    told = reason_of(conf)
    assert told.startswith(reason.format(conf.parent))
    assert SECRET not in told
    assert SECRET.encode().hex() not in told


@pytest.mark.parametrize("what", OPTIONS)
def test_nothing_of_octavia_conf_is_told(conf: Path, what: str) -> None:
    more, reason = OPTIONS[what]
    conf.write_text(conf.read_text() + more)
    told = reason_of(conf)
    assert told.startswith(reason)
    assert SECRET not in told


@pytest.mark.parametrize("what", ["a file", "an option"])
def test_clients_get_the_reason_and_the_log_has_the_error(conf: Path, what: str) -> None:
    if what == "a file":
        name, text, reason = FILES["an alias of nothing"]
        (conf.parent / name).write_text(text)
    else:
        more, reason = OPTIONS["a URL with a wrong port"]
        conf.write_text(conf.read_text() + more)
    with supervised(conf.parent, conf.read_text(), file=conf.name) as api:
        told = api.told()
        wait_for(lambda: SECRET in (conf.parent / "api.log").read_text())
    assert told.startswith(f"The API cannot start, and is started again and again. {reason.format(conf.parent)}")
    assert SECRET not in told
