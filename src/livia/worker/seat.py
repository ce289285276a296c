"""Who a worker is among the holders of leases: a numbered seat of this machine, held by a lock that dies with it.

The next worker to sit down takes back at once what the last one on that seat held when it was killed; so does any
other worker for a seat that stays empty.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import IO

#: more workers than one machine runs
_MOST = 1000


class Seat:
    """The lowest free seat of `directory`, which every worker of this machine on this database shares.

    `owner` names it among the holders of leases: the host's name for people, and what the seat's file says, because
    two machines can have one name, and containers one host name and two file systems. Raises OSError when the
    directory cannot be used.
    """

    def __init__(self, directory: Path, host: str) -> None:
        directory.mkdir(exist_ok=True, mode=0o700)
        self._directory = directory
        self._host = host
        for number in count():
            held = _sit(directory / f"worker-{number}.seat")
            if held is not None:
                self._file = held
                break
            if number == _MOST:
                raise OSError(f"All {_MOST} seats of {directory} are taken.")
        self.owner = self._name(self._file)

    def deserted(self) -> Iterator[str]:
        """Owners whose worker was killed and has not come back: nobody can sit down there while one is handed out."""
        for path in sorted(self._directory.glob("worker-*.seat")):
            held = _sit(path)
            if held is None:
                continue
            with held:
                yield self._name(held)

    def close(self) -> None:
        """Get up."""
        self._file.close()

    def _name(self, file: IO[str]) -> str:
        file.seek(0)
        token = file.read().strip()
        if not token:
            token = secrets.token_hex(8)
            file.write(token)
            file.flush()
        return f"{self._host[:96]}:{token}"


def _sit(path: Path) -> IO[str] | None:
    """The seat's file, locked; None while somebody has it."""
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
