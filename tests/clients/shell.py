"""`openstack`, unmodified, in a process of its own that runs one command after the other.

Starting the client takes a second and a half, a command in a started one a few milliseconds. Run as a program it
reads a JSON list of arguments per line, and answers with a JSON object: exit code, standard output and error.
"""

import contextlib
import io
import json
import subprocess
import sys
import warnings
from types import TracebackType
from typing import Any

from msgspec import Struct


class Ended(Struct, frozen=True):
    """What a command left."""

    code: int
    out: str
    err: str


class Shell:
    """The started client; a context that ends it."""

    def __init__(self, endpoint: str) -> None:
        self._common = ("--os-auth-type", "none", "--os-endpoint", endpoint)
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.clients.shell"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Shell":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.__exit__(kind, error, trace)

    def run(self, *arguments: str) -> Ended:
        """One `openstack loadbalancer …`, whatever it returns."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([*self._common, "loadbalancer", *arguments]) + "\n")
        self._process.stdin.flush()
        return Ended(**json.loads(self._process.stdout.readline()))

    def do(self, *arguments: str) -> str:
        """One command that must succeed; what it prints."""
        ended = self.run(*arguments)
        assert ended.code == 0, f"openstack loadbalancer {' '.join(arguments)}: {ended.err}"
        return ended.out

    def show(self, *arguments: str) -> Any:
        """One command with `-f json`."""
        return json.loads(self.do(*arguments, "-f", "json"))


def _serve() -> None:
    from openstackclient.shell import OpenStackShell

    warnings.simplefilter("ignore")
    answers = sys.stdout
    for line in sys.stdin:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = OpenStackShell().run(json.loads(line))
            except SystemExit as ended:
                # argparse leaves by it
                code = ended.code if isinstance(ended.code, int) else 1
        answers.write(json.dumps({"code": code, "out": out.getvalue(), "err": err.getvalue()}) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve()
