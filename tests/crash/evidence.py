"""What runs in an amphora when a promise was broken: its configuration, what listens, what its programs logged."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from livia.agent.disk import AmphoraDirectory
from livia.agent.host import Host
from livia.agent.names import Names
from tests.crash.installation import Machine

_LINES = 400


def evidence(machine: Machine) -> str:
    """Of every amphora of this machine, for people."""
    config = machine.installation.agent_config()
    names = Names(config.state_directory)
    return "\n".join(
        line
        for path in sorted(Host(config).amphorae_directory.iterdir())
        for line in _of(path, names.amphora(path.name))
    )


def _of(path: Path, namespace: str) -> Iterator[str]:
    yield f"== amphora {path.name}"
    directory = AmphoraDirectory(path)
    configured = (directory.record, directory.config, directory.failed_config, directory.keepalived_config)
    for file in (directory.pending, *configured, directory.track, directory.haproxy_log, directory.keepalived_log):
        with suppress(OSError):
            yield f"-- {file.name}"
            yield from file.read_text().splitlines()[-_LINES:]
    for command in ("ss -Hltnp", "ip -br address", "nft list ruleset"):
        yield f"-- {command}"
        inside = ["ip", "netns", "exec", namespace, *command.split()]
        yield from subprocess.run(inside, capture_output=True, text=True, check=False).stdout.splitlines()[:_LINES]
    listing = ["ps", "-eo", "pid,ppid,etimes,stat,args"]
    found = subprocess.run(listing, capture_output=True, text=True, check=False).stdout.splitlines()
    yield from (line for line in found if path.name in line or "haproxy" in line)
