"""Where the programs look for octavia.conf (contract 90, section 0)."""

from collections.abc import Iterable
from pathlib import Path


def places(home: Path) -> tuple[Path, ...]:
    """The directories that are searched, nearest first."""
    return home / ".octavia", home, Path("/etc/octavia"), Path("/etc")


def found(program: str, directories: Iterable[Path]) -> list[Path]:
    """Of `octavia.conf` and `<program>.conf` the nearest each, then what is in the nearest `….conf.d` of both names."""
    directories = tuple(directories)
    files = [_nearest(directories, f"{name}.conf") for name in ("octavia", program)]
    folders = [_nearest(directories, f"{name}.conf.d") for name in ("octavia", program)]
    return [
        *(file for file in files if file is not None),
        *(file for folder in folders if folder is not None for file in in_directory(folder)),
    ]


def in_directory(directory: Path) -> list[Path]:
    """The configuration files of a `--config-dir`, in the order of their names."""
    return sorted(directory.glob("*.conf"))


def _nearest(directories: Iterable[Path], name: str) -> Path | None:
    return next((directory / name for directory in directories if (directory / name).exists()), None)
