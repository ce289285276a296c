"""The API as an object of a web server, such as gunicorn or uWSGI, which has its own command line."""

from collections.abc import Callable
from typing import Any

from livia.ops import programs

#: whose configuration files are looked for: `octavia.conf` and `octavia-wsgi.conf`
_PROGRAM = "octavia-wsgi"


def application() -> Callable[..., Any]:
    """The WSGI application of the octavia.conf found on this machine. Ends the process with a sentence why not."""
    try:
        settings = programs.settings_of(_PROGRAM, None)
        return programs.api_process(_PROGRAM, settings).application()
    except programs.REFUSALS as error:
        raise SystemExit(f"{_PROGRAM}: {error}") from error
