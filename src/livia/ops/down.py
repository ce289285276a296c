"""`livia down`: end the services of a state directory, and remove every namespace, bridge and process it made."""

import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

from livia.agent.main import down as remove_data_plane
from livia.ops import leftovers, preflight
from livia.ops.services import Installation
from livia.ops.state import AlreadyRunningError

#: seconds that `livia up` has to end by itself
_GRACE = 20.0
_POLL = 0.05


class CannotEndError(Exception):
    """Why not, in sentences for the person at the terminal."""


def down(installation: Installation, *, purge: bool) -> None:
    """Stop and remove. With `purge` the state directory goes too: load balancers, keys, logs.

    Without it the load balancers stay known: the next `livia up` brings them back. Raises CannotEndError.
    """
    state = installation.state
    if not state.exists():
        return
    if problems := preflight.not_root():
        raise CannotEndError("\n".join(problems))
    _end_supervisor(installation)
    remove_data_plane(installation.agent_config())
    if purge:
        _remove(state.directory)


def _remove(directory: Path) -> None:
    """Remove a directory; of one that is the mount point of a volume, all that is in it."""
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    if not directory.is_mount():
        directory.rmdir()


def _end_supervisor(installation: Installation) -> None:
    """Ask whoever holds the lock to end, and wait until the lock is free."""
    state = installation.state
    leftovers.end(state)
    deadline = time.monotonic() + _GRACE
    while time.monotonic() < deadline:
        try:
            state.lock().close()
        except AlreadyRunningError:
            _terminate(installation)
            time.sleep(_POLL)
        else:
            return
    raise CannotEndError(f"The livia up on {state.directory} does not end: see {state.pid_path} for its process id.")


def _terminate(installation: Installation) -> None:
    parent = installation.state.supervisor()
    if parent is not None:
        with suppress(ProcessLookupError):
            os.kill(parent, signal.SIGTERM)
