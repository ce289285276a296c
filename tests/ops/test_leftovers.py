"""Services end with their supervisor, even those that were stopped when it died."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from livia.ops import leftovers
from livia.ops.state import AlreadyRunningError, State

#: a service with many threads, of which the kernel may give a signal to any
_SERVICE = """
import sys
from threading import Event, Thread
from livia.ops.processes import stopped_by_signal
for _ in range(30):
    Thread(target=Event().wait, daemon=True).start()
stop = stopped_by_signal()
print("ready", flush=True)
stop.wait()
"""

#: a supervisor's child that holds the lock of the state directory and does not end when told to
_HUNG = """
import ctypes, signal, sys, time
from pathlib import Path
from livia.ops.state import State
signal.signal(signal.SIGTERM, signal.SIG_IGN)
lock = State(Path(sys.argv[1])).lock()
ctypes.CDLL(None).prctl(15, sys.argv[2].encode())
print("ready", flush=True)
time.sleep(60)
"""


def _start(script: str, *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.stdout.close()
    return process


def test_a_service_that_is_told_to_end_while_it_is_stopped_ends_when_it_goes_on() -> None:
    services = [_start(_SERVICE) for _ in range(3)]
    try:
        for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGCONT):
            for service in services:
                os.kill(service.pid, number)
            time.sleep(0.1)
        assert [service.wait(timeout=30) for service in services] == [0] * len(services)
    finally:
        for service in services:
            service.kill()
            service.wait()


def test_services_that_hang_without_a_supervisor_are_ended(tmp_path: Path) -> None:
    hung = _start(_HUNG, str(tmp_path), "livia-agent")
    state = State(tmp_path)
    try:
        with pytest.raises(AlreadyRunningError):
            state.lock()
        leftovers.end(state)
        state.lock().close()
        assert hung.wait(timeout=30) == -signal.SIGKILL
    finally:
        hung.kill()
        hung.wait()


def test_a_supervisor_that_lives_keeps_its_directory(tmp_path: Path) -> None:
    living = _start(_HUNG, str(tmp_path), "python")
    try:
        leftovers.end(State(tmp_path))
        with pytest.raises(AlreadyRunningError):
            State(tmp_path).lock()
    finally:
        living.kill()
        living.wait()
