"""The haproxy program itself: its version, and its opinion of a file."""

import grp
import pwd
import re
import resource
import subprocess
from pathlib import Path

from livia.agent.errors import HaproxyRefusedError, PlumbingError
from livia.agent.haproxy.render import Machine
from livia.agent.redaction import without_keys

_PATIENCE = 30.0
#: descriptors of one process that serve no client: sockets of its own, checks, pipes
_RESERVED = 500
#: connections of one amphora, whatever the host allows (contract 95, section 4: default_connection_limit)
_MOST_CONNECTIONS = 50000
_VERSION = re.compile(r"version (\S+)")
#: lines of HAProxy's answer that say what is wrong
_TELLING = re.compile(r"^\[(ALERT|WARNING)\]")


def machine() -> Machine:
    """What files may ask of this host. HAProxy needs two descriptors a connection, and cannot exceed the hard limit."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        connections = _MOST_CONNECTIONS
    else:
        connections = max(100, min(_MOST_CONNECTIONS, (hard - _RESERVED) // 2))
    user, group = _account()
    return Machine(connections=connections, user=user, group=group)


def _account() -> tuple[str, str]:
    """Who HAProxy is after its start."""
    try:
        user = pwd.getpwnam("haproxy")
    except KeyError:
        user = pwd.getpwnam("nobody")
    return user.pw_name, grp.getgrgid(user.pw_gid).gr_name


def version(program: Path) -> str:
    """E.g. 2.6.12-1+deb12u4. Raises PlumbingError when the program cannot be run."""
    try:
        done = subprocess.run([program, "-v"], capture_output=True, text=True, check=True, timeout=_PATIENCE)
    except (OSError, subprocess.SubprocessError) as error:
        raise PlumbingError(f"{program} cannot be run: install haproxy 2.6 or later ({error}).") from error
    found = _VERSION.search(done.stdout)
    return found[1] if found else ""


class Trial:
    """`haproxy -c` on a file, running beside other work until `verdict` is asked for."""

    def __init__(self, program: Path, directory: Path, name: str) -> None:
        try:
            self._process = subprocess.Popen(
                # Not -q: it would keep the reason of a refusal to itself.
                [program, "-c", "-f", name],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        except OSError as error:
            raise PlumbingError(f"{program} cannot be run: {error}") from error

    def verdict(self) -> None:
        """Wait for the end. Raises HaproxyRefusedError with HAProxy's words."""
        try:
            said, _nothing = self._process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired as error:
            self._process.kill()
            self._process.communicate()
            raise HaproxyRefusedError("HAProxy did not finish its check of the configuration.", "") from error
        if self._process.returncode != 0:
            raise HaproxyRefusedError("HAProxy refuses the configuration.", telling(said))


def telling(said: str) -> str:
    """The lines of HAProxy's output that matter, or all of it."""
    lines = [line for line in said.splitlines() if _TELLING.match(line)]
    return without_keys("\n".join(lines or said.splitlines()))[-4000:]
