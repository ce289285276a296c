"""`make run` and `make demo`: start Livia, play the demo on it, then stay or end.

A Livia that runs already on the state directory is used, and left running.
"""

import argparse
import signal
import sys
import time
from functools import partial
from pathlib import Path

from livia.ops.demo.play import play
from livia.ops.demo.running import NotStartedError, RunningLivia
from livia.ops.state import DEFAULT_STATE_DIRECTORY

#: what a shell reports of a program that Ctrl-C ended
_INTERRUPTED = 130


def main() -> int:
    """Play; the exit status is that of the demo."""
    parser = argparse.ArgumentParser(prog="livia-demo")
    parser.add_argument("--stay", action="store_true", help="keep everything running until Ctrl-C")
    parser.add_argument("--state-directory", type=Path, default=DEFAULT_STATE_DIRECTORY)
    options = parser.parse_args()
    livia = RunningLivia(options.state_directory)
    # Both end the demo in order, also where a shell that runs it in the background has SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        return _play(livia, stay=options.stay)
    except NotStartedError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED


def _play(livia: RunningLivia, *, stay: bool) -> int:
    ours = not livia.runs()
    if ours:
        print("Starting Livia ...", flush=True)
        print(livia.start(), flush=True)
    else:
        print(f"Using the Livia that runs on {livia.installation.state.directory}.", flush=True)
    try:
        return play(livia.installation, partial(_stay, ours=ours) if stay else None)
    finally:
        if ours:
            print("Ending the services and removing what they made ...", flush=True)
            livia.close(purge=False)


def _stay(*, ours: bool) -> None:
    """Wait for Ctrl-C."""
    rest = "Livia and all that it made" if ours else "the demo's load balancer"
    print(f"Ctrl-C removes {rest}.", flush=True)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        print("", flush=True)


if __name__ == "__main__":
    sys.exit(main())
