"""`deploy/setup`, the first thing that `make run` does: one sentence when it cannot go on, saying what to do."""

import shutil
import subprocess
from pathlib import Path

SETUP = Path(__file__).parents[2] / "deploy" / "setup"


def test_not_root_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    ended = _run(f"PATH={tmp_path}:$PATH sh {SETUP} run")
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "Livia makes network namespaces, and so must be run by root: run the same command with sudo."
    ]


def test_a_program_that_cannot_be_installed_is_named(tmp_path: Path) -> None:
    (tmp_path / "apt-get").write_text("#!/bin/sh\necho 'E: no network' >&2\nexit 100\n")
    (tmp_path / "apt-get").chmod(0o755)
    (tmp_path / "nothing").touch()
    # In a mount namespace of its own, where HAProxy is a file that cannot be executed.
    hidden = f'mount --bind {tmp_path / "nothing"} "$(readlink -f "$(command -v haproxy)")"'
    ended = _run(f"unshare --mount sh -c '{hidden} && PATH={tmp_path}:$PATH sh {SETUP} run'")
    assert ended.returncode == 1
    assert "E: no network" in ended.stderr
    assert "Cannot install haproxy: install them by hand" in ended.stderr.splitlines()[-1]


def _run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, timeout=60)


class Checkout:
    """A copy of what the script reads, on a machine whose `python3.11` writes down what it is asked to do."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "deploy").mkdir(parents=True)
        shutil.copy(SETUP, path / "deploy")
        for name in ("requirements.lock", "pyproject.toml"):
            (path / name).write_text(name)
        self._programs = path.parent / "programs"
        self._programs.mkdir(exist_ok=True)
        (self._programs / "python3.11").write_text(_PYTHON)
        (self._programs / "python3.11").chmod(0o755)

    def set_up(self) -> tuple[list[str], subprocess.CompletedProcess[str]]:
        """What Python was asked to do, and how it ended."""
        asked = self.path / "asked"
        asked.write_text("")
        ended = _run(f"PATH={self._programs}:$PATH sh {self.path}/deploy/setup run")
        return asked.read_text().splitlines(), ended


#: makes an environment of a copy of itself; where a file `offline` is, nothing can be installed
_PYTHON = """#!/bin/sh
[ "$1" = -m ] || exit 0
echo "$2 $3" >> asked
case "$2 $3" in
    "venv --clear") rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
    "pip install") [ ! -e offline ] ;;
esac
"""
_MADE = ["venv --clear", "pip install", "pip install"]


def test_what_is_there_is_not_asked_for_again(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "livia")
    assert checkout.set_up()[0] == _MADE
    (checkout.path / "offline").touch()
    asked, ended = checkout.set_up()
    assert (asked, ended.returncode, ended.stderr) == ([], 0, "")


def test_an_environment_follows_its_lock(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "livia")
    checkout.set_up()
    (checkout.path / "requirements.lock").write_text("another")
    assert checkout.set_up()[0] == _MADE[1:]


def test_without_a_registry_it_says_so_and_the_next_time_goes_on(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "livia")
    (checkout.path / "offline").touch()
    _asked, ended = checkout.set_up()
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        "Cannot install the Python packages of requirements.lock: is a package registry reachable?"
    )
    (checkout.path / "offline").unlink()
    asked, ended = checkout.set_up()
    assert (asked, ended.returncode) == (_MADE[1:], 0)


def test_an_environment_that_cannot_work_is_made_anew(tmp_path: Path) -> None:
    """Its Python is gone, as after an upgrade of the system; or the checkout was moved, and programs name a place."""
    checkout = Checkout(tmp_path / "livia")
    checkout.set_up()
    (checkout.path / ".venv" / "bin" / "python").unlink()
    assert checkout.set_up()[0] == _MADE
    checkout.path = checkout.path.rename(tmp_path / "moved")
    assert checkout.set_up()[0] == _MADE
