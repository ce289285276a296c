"""`deploy/setup`, the first thing that `make run` does: one sentence when it cannot go on, saying what to do."""

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
