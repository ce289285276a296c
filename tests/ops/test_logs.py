"""What a log does when it cannot be written."""

from contextlib import suppress
from pathlib import Path

import structlog

from livia.ops import logs


def test_a_full_disk_ends_nobody_who_tells_something() -> None:
    before = structlog.get_config()
    full = Path("/dev/full").open("w", buffering=1)  # noqa: SIM115 - closing it fails, which is the point
    try:
        logs.configure(full)
        log = structlog.get_logger()
        log.warning("the disk is full", number=1)
        log.error("and still is")
    finally:
        structlog.configure(**before)
        with suppress(OSError):
            full.close()
