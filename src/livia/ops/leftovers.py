"""Services that outlived their supervisor: stopped, or hanging, when the kernel told them to end."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from livia.ops.state import State
from livia.ops.supervisor import COMMAND_PREFIX

#: seconds that they have to end by themselves: what they leave undone is found and done
_GRACE = 5.0
_POLL = 0.05


def end(state: State) -> None:
    """End the services of a supervisor that is dead; while one lives, nobody.

    They hold the lock of its state directory, so that no second worker runs beside them."""
    deadline = time.monotonic() + _GRACE
    while leftovers := _leftovers(state.lock_path):
        if time.monotonic() > deadline:
            for pid in leftovers:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL)


def _leftovers(lock: Path) -> list[int]:
    """Process ids of those who hold the lock; none when one of them is no service, and so the supervisor."""
    pids = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    holders = {pid: _name(pid) for pid in pids if _holds(pid, lock)}
    return list(holders) if all(name.startswith(COMMAND_PREFIX) for name in holders.values()) else []


def _holds(pid: int, lock: Path) -> bool:
    try:
        return any(each.readlink() == lock for each in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return COMMAND_PREFIX
