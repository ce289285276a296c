"""Faults that the demo, the tests and the benchmarks cause: what a power cut or a crash does to an amphora."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from livia.agent.config import AgentConfig
from livia.agent.names import Names


def destroy(config: AgentConfig, amphora_id: str) -> None:
    """An amphora vanishes: first its link, so that nobody can say goodbye, then every process, then its namespace."""
    namespace = Names(config.state_directory).amphora(amphora_id)
    _ip("-n", namespace, "link", "delete", "eth0")
    for pid in processes(namespace):
        _kill(pid)
    _ip("netns", "delete", namespace)


def kill_haproxy(config: AgentConfig, amphora_id: str) -> None:
    """HAProxy of an amphora dies, master and worker; everything else of the amphora lives."""
    namespace = Names(config.state_directory).amphora(amphora_id)
    for pid in haproxies(namespace):
        _kill(pid)


def haproxies(namespace: str) -> list[int]:
    """Process ids of HAProxy in a namespace."""
    return [pid for pid in processes(namespace) if _name(pid) == "haproxy"]


def processes(namespace: str) -> list[int]:
    """Process ids in a namespace."""
    listed = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False)
    return [int(pid) for pid in listed.stdout.split()]


def namespaces(prefix: str) -> set[str]:
    """Namespaces whose names begin with `prefix`."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    names = (line.split()[0] for line in listed.stdout.splitlines())
    return {name for name in names if name.startswith(prefix)}


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=False, stderr=subprocess.DEVNULL)
