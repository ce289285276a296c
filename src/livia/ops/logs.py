"""Structured logs: one line of JSON an event, or of text for a terminal."""

import logging
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog


class Lossy:
    """A stream whose lines are lost while its disk is full or its terminal gone: no thread may die of telling."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def level(*, debug: bool) -> int:
    """From which severity on `[DEFAULT] debug` wants to be told."""
    return logging.DEBUG if debug else logging.INFO


def configure(stream: TextIO = sys.stderr, *, json: bool = True, level: int = logging.INFO) -> None:
    """Send this process's log to `stream`."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", Lossy(stream))),
        cache_logger_on_first_use=False,
    )
