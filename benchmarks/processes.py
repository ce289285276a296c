"""What processes use, read from proc(5)."""

from pathlib import Path

from livia.ops.status import children


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    return [pid, *(each for child in children(pid) for each in family(child))]


def cpu_seconds(pid: int) -> float:
    """User and system seconds of a process and all its descendants, to the nanosecond.

    Counted are the threads that live: servers keep theirs.
    """
    tasks = [task for each in family(pid) for task in Path(f"/proc/{each}/task").glob("*/schedstat")]
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def command_name(pid: int) -> str:
    """The short name of a process."""
    return Path(f"/proc/{pid}/comm").read_text().strip()
