"""What an operator meets who asks for help, mistypes, interrupts, is not root, or names the wrong place."""

import argparse
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from livia.agent.names import Names
from livia.agent.plumbing import kernel
from livia.ops import cli, dbmanage
from livia.ops.commands.outcome import INTERRUPTED
from livia.ops.octavia_conf import load
from livia.ops.services import SERVICES, Installation
from livia.ops.state import State
from livia.store.engine import Database
from livia.store.schema import HEAD
from tests.ops.programs import PATIENCE, told

HERE = Path(__file__).parents[2]
PAGES = [HERE / "README.md", *sorted((HERE / "docs").glob("*.md"))]


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """It and those of all commands below it."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from parsers(each)


def test_every_command_and_argument_says_what_it_is_for() -> None:
    found = list(parsers(cli.parser()))
    assert len(found) > 30
    assert [each.prog for each in found if not each.description] == []
    unexplained = [
        (each.prog, action.dest)
        for each in found
        for action in each._actions
        if not action.help and not isinstance(action, argparse._SubParsersAction)
    ]
    assert unexplained == []


def commands_in(page: Path) -> Iterator[str]:
    """What a page has that begins with `livia`: lines of its examples, and what it names in a sentence."""
    parts = page.read_text().split("\n```")
    for number, part in enumerate(parts):
        if number % 2:
            yield from re.findall(r"^(?:echo .* \| )?(livia [^#\n]*)", part, flags=re.MULTILINE)
        else:
            yield from (" ".join(each.split()) for each in re.findall(r"`(livia\s[^`]+)`", part))


def test_the_pages_name_commands_that_there_are() -> None:
    written = {each.strip() for page in PAGES for each in commands_in(page)}
    assert len(written) > 30
    wrong = []
    for each in sorted(written):
        try:
            # An ellipsis stands for whatever comes there; a command of commands is named without one of them.
            cli.parser().parse_args(shlex.split(each.partition("…")[0])[1:])
        except SystemExit as ended:
            names = re.sub(r" --config-file \S+| [A-Z…].*", "", each).strip()
            if ended.code and names not in {parser.prog for parser in parsers(cli.parser())}:
                wrong.append(each)
    assert wrong == []


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert re.fullmatch(r"livia \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize("pause", ["0", "-1", "nan", "inf", "soon"])
def test_canaries_without_a_pause_are_refused(tmp_path: Path, pause: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["--state-directory", str(tmp_path / "none"), "canary", "--every", pause])
    assert f"'{pause}' is no number of seconds above 0" in capsys.readouterr().err


def conf_for(directory: Path, path: Path) -> Path:
    """An octavia.conf with nothing but an SQLite database."""
    conf = directory / "octavia.conf"
    conf.write_text(f"[database]\nconnection = sqlite:///{path}\n[livia]\nmetrics_port = 0\n")
    return conf


def made(path: Path, revision: str = "head") -> Path:
    """Make a database; the octavia.conf that names it."""
    conf = conf_for(path.parent, path)
    assert told(dbmanage.main, "--config-file", conf, "upgrade", revision)[0] == 0
    return conf


#: those that need a database and nothing else
ASKING = (("status",), ("host", "list"), ("events",), ("retry", "some-id"), ("orphans",), ("canary",))


@pytest.mark.parametrize("command", ASKING)
def test_a_database_that_is_not_there_is_not_made(tmp_path: Path, command: tuple[str, ...]) -> None:
    conf = conf_for(tmp_path, tmp_path / "octavia.db")
    status, _out, err = told(cli.main, "--state-directory", tmp_path / "none", "--config-file", conf, *command)
    assert status == 1
    assert err.splitlines() == [
        f"The database sqlite:///{tmp_path}/octavia.db does not exist. Run: octavia-db-manage upgrade head"
    ]
    assert not (tmp_path / "octavia.db").exists()


@pytest.mark.parametrize("command", ASKING)
def test_a_database_of_an_earlier_version_is_told(tmp_path: Path, command: tuple[str, ...]) -> None:
    conf = made(tmp_path / "octavia.db", "0009")
    status, _out, err = told(cli.main, "--state-directory", tmp_path / "none", "--config-file", conf, *command)
    (line,) = err.splitlines()
    assert status == 1
    assert f"is at revision 0009, and {HEAD} is needed. Run: octavia-db-manage upgrade head" in line


@pytest.mark.parametrize("command", [*ASKING, ("network", "list")])
def test_of_a_state_directory_livia_up_changes_the_database(tmp_path: Path, command: tuple[str, ...]) -> None:
    state = State(tmp_path / "state")
    state.prepare()
    made(state.directory / "livia.db", "0009")
    status, _out, err = told(cli.main, "--state-directory", state.directory, *command)
    (line,) = err.splitlines()
    assert status == 1
    assert f"is at revision 0009, and {HEAD} is needed. 'livia up' makes it so when it starts." in line


def test_a_table_that_is_gone_is_told_without_the_statement(tmp_path: Path) -> None:
    conf = made(tmp_path / "livia.db")
    database = Database(f"sqlite:///{tmp_path / 'livia.db'}")
    with database.write() as connection:
        connection.execute(text("DROP TABLE amphora_host"))
    database.close()
    status, _out, err = told(cli.main, "--state-directory", tmp_path / "none", "--config-file", conf, "status")
    (line,) = err.splitlines()
    assert status == 1
    assert line == f"The database sqlite:///{tmp_path}/livia.db cannot be used: no such table: amphora_host"


def as_nobody(directory: Path, *command: str) -> tuple[int, list[str]]:
    """The exit status of a command that somebody else than root gives, and what it says of errors."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        # The interpreter may lie where nobody else can read: go on here instead of starting it anew.
        os.dup2(writer, 2)
        sys.stderr = os.fdopen(2, "w")
        status = 70
        try:
            os.setgroups([])
            os.setuid(65534)
            status = cli.main(["--state-directory", str(directory), *command])
        finally:
            sys.stderr.flush()
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read().splitlines()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


@pytest.mark.parametrize(
    "command", [("up",), ("down",), ("status",), ("network", "list"), ("ca", "show"), ("host", "list")]
)
def test_who_is_not_root_is_told_what_to_do(command: tuple[str, ...]) -> None:
    directory = Path(f"/run/livia-test-{os.getpid()}")
    State(directory).prepare()
    try:
        status, said = as_nobody(directory, *command)
    finally:
        subprocess.run(["rm", "-r", str(directory)], check=True)
    assert status == 1
    (line,) = said
    assert "run the same command with sudo" in line


def test_a_state_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, _out, err = told(cli.main, "--state-directory", tmp_path / "file" / "state", "up")
    (line,) = err.splitlines()
    assert status == 1
    assert line.startswith(f"{tmp_path}/file/state cannot be used: Not a directory. ")
    assert "--state-directory" in line


def test_an_interrupted_command_ends_without_a_traceback(tmp_path: Path) -> None:
    conf = made(tmp_path / "livia.db")
    command = [sys.executable, "-m", "livia.ops.cli", "--state-directory", str(tmp_path / "none")]
    process = subprocess.Popen(
        [*command, "--config-file", str(conf), "canary", "--every", "3600"], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + PATIENCE
    try:
        # From its first own handler on, what it does is to wait.
        while not int(re.findall(r"SigCgt:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text())[0], 16) & (
            1 << signal.SIGTERM - 1
        ):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, err) == (INTERRUPTED, "")


def test_so_does_one_that_is_interrupted_while_it_starts(tmp_path: Path) -> None:
    conf = tmp_path / "octavia.conf"
    os.mkfifo(conf)
    command = [sys.executable, "-m", "livia.ops.cli", "--config-file", str(conf), "status"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        # It is opened when the command reads it, which then waits for what is in it.
        with conf.open("w"):
            process.send_signal(signal.SIGINT)
            _out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, err) == (INTERRUPTED, "")


def test_the_status_of_a_livia_that_starts_and_of_one_that_lacks_services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    state = State(tmp_path / "state")
    state.prepare()
    made(state.directory / "livia.db")
    with state.lock():
        status, out, _err = told(cli.main, "--state-directory", state.directory, "status")
        assert status == 1
        assert f"A livia up is starting on {state.directory}." in out
        # A supervisor without any service.
        with subprocess.Popen(["sleep", "60"]) as alone:
            state.pid_path.write_text(f"{alone.pid}\n")
            status, out, _err = told(cli.main, "--state-directory", state.directory, "status")
            alone.kill()
    assert status == 1
    for name in SERVICES:
        assert re.search(rf"{name} +│ none: see .*/log/{name}\.log", out), out


def test_the_status_says_whether_load_balancers_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    state = State(tmp_path / "state")
    state.prepare()
    made(state.directory / "livia.db")
    status, out, _err = told(cli.main, "--state-directory", state.directory, "status")
    assert status == 1
    assert "nothing of it serves: 'livia up' brings it back." in out
    namespace = Names(state.agent_directory).amphora("one")
    kernel.add(namespace)
    try:
        status, out, _err = told(cli.main, "--state-directory", state.directory, "status")
    finally:
        kernel.delete(namespace)
    assert status == 1
    assert "load balancers go on without it." in out


def test_the_status_is_told_of_a_disk_that_became_read_only(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    state.prepare()
    made(state.directory / "livia.db")
    database = Database(state.database_url)
    command = f"{shlex.quote(sys.executable)} -m livia.ops.cli --state-directory {state.directory} status"
    directory = shlex.quote(str(state.directory))
    script = f"mount --bind {directory} {directory} && mount -o remount,ro,bind {directory} && exec {command}"
    # Its services have the database open.
    with state.lock(), database.read():
        state.pid_path.write_text(f"{os.getpid()}\n")
        ended = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False)
    database.close()
    assert ended.stderr == ""
    assert "supervisor" in ended.stdout
    assert "Amphora hosts" in ended.stdout


def test_a_second_livia_up_is_told_what_can_be_done_with_the_first(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    state.prepare()
    with state.lock():
        status, _out, err = told(cli.main, "--state-directory", state.directory, "up")
    assert status == 1
    assert err == (
        f"A livia up is running on {state.directory} already: 'livia status' shows it, 'livia down' ends it.\n"
    )


def test_down_says_what_it_did(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    status, out, _err = told(cli.main, "--state-directory", state.directory, "down")
    assert (status, out) == (0, f"There is no Livia in {state.directory}: 'livia up' makes one.\n")
    state.prepare()
    status, out, _err = told(cli.main, "--state-directory", state.directory, "down")
    assert status == 0
    assert "'livia up' brings its load balancers back" in out
    status, out, _err = told(cli.main, "--state-directory", state.directory, "down", "--purge")
    assert status == 0
    assert f"Livia in {state.directory} is gone" in out
    assert not state.directory.exists()


def test_services_are_named_as_they_are_started(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    state.prepare()
    with socket.socket() as api:
        started = Installation(state, load([])[0]).services(api)
    assert tuple(each.name for each in started) == SERVICES
