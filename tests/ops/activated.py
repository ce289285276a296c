"""`python -m tests.ops.activated DESCRIPTOR COMMAND...`: become a command that is given the socket, as systemd does."""

import os
import sys


def main(descriptor: int, command: list[str]) -> None:
    """Of LISTEN_FDS there is one, and it is the first that is free (sd_listen_fds(3))."""
    os.dup2(descriptor, 3)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=os.environ.get("LISTEN_FDS", "1"))
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
