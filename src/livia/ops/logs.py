"""Structured logs: one line of JSON an event, or of text for a terminal."""

import logging
import sys
from typing import TextIO

import structlog


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
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
