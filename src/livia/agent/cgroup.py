"""A control group per amphora, so that it can be killed as a whole (cgroups(7), cgroup.kill since Linux 5.14)."""

import time
from contextlib import suppress
from pathlib import Path

#: seconds until a killed group must be empty
_PATIENCE = 5.0


def mount_point() -> Path | None:
    """Where cgroup2 is mounted, alone or beside version 1; None when it is not."""
    for line in Path("/proc/mounts").read_text().splitlines():
        fields = line.split()
        if fields[2] == "cgroup2":
            return Path(fields[1])
    return None


class Groups:
    """The groups of one agent. Without cgroup2 all of this does nothing, and s6 alone ends processes."""

    def __init__(self, prefix: str) -> None:
        mounted = mount_point()
        self._root = mounted / prefix if mounted is not None else None

    def make(self, name: str) -> Path | None:
        """The file to write a process id to, so that the process joins group `name`."""
        if self._root is None:
            return None
        group = self._root / name
        try:
            group.mkdir(parents=True, exist_ok=True)
        except OSError:
            # Read-only in some containers: then s6 alone ends processes.
            return None
        return group / "cgroup.procs"

    def kill(self, name: str) -> None:
        """End every process of a group and remove it, whether or not it is there."""
        if self._root is None or not (self._root / name).exists():
            return
        group = self._root / name
        with suppress(OSError):
            (group / "cgroup.kill").write_text("1")
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            try:
                group.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.002)
            else:
                return

    def names(self) -> set[str]:
        """Every group that there is."""
        if self._root is None or not self._root.is_dir():
            return set()
        return {path.name for path in self._root.iterdir() if path.is_dir()}

    def remove_root(self) -> None:
        """Remove the agent's own group once all others are gone."""
        if self._root is not None:
            with suppress(OSError):
                self._root.rmdir()
