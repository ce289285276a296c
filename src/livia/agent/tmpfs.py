"""Where files live in memory only."""

import ctypes
import os
import stat
from pathlib import Path

from livia.agent.errors import PlumbingError

#: statfs(2)
_TMPFS_MAGIC = 0x01021994
_RAMFS_MAGIC = 0x858458F6
#: more than any `struct statfs` has; its first field is the type of the file system, of a machine word
_STATFS_BYTES = 256
#: hosts have the first, containers often only the second
_USUAL = (Path("/run/livia"), Path("/dev/shm/livia"))  # noqa: S108 - made and checked by `private_directory`


def in_memory(path: Path) -> bool:
    """Whether `path` lies on a file system without a disk."""
    buffer = ctypes.create_string_buffer(_STATFS_BYTES)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.statfs(os.fsencode(path), buffer) != 0:
        return False
    kind = ctypes.c_ulong.from_buffer(buffer).value & 0xFFFFFFFF
    return kind in (_TMPFS_MAGIC, _RAMFS_MAGIC)


def find(configured: Path | None, state_directory: Path) -> Path:
    """The directory in memory that key material goes to: the configured one, else the first of the usual ones and
    of the state directory that is one. Raises PlumbingError when there is none."""
    if configured is not None:
        if not in_memory(_existing(configured)):
            raise PlumbingError(f"Key material must not touch a disk, but {configured} is not on a tmpfs.")
        return configured
    for candidate in (*_USUAL, state_directory / "memory"):
        if in_memory(_existing(candidate)):
            return candidate
    raise PlumbingError(
        "Key material must not touch a disk, and neither /run, /dev/shm nor the state directory is a tmpfs: "
        "mount one and name it as the agent's material directory."
    )


def private_directory(path: Path) -> None:
    """Make `path` with its parents, for nobody but us. Raises PlumbingError when somebody else's is there."""
    if not path.parent.exists():
        private_directory(path.parent)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        # /dev/shm is open to everybody: another user may have been here first.
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise PlumbingError(f"{path} is there already and is not a directory that is ours alone.") from None


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
