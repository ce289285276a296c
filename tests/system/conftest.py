"""A whole Livia, as a user runs it, on ports and in a state directory of its own."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from livia.ops.demo.api import Api
from livia.ops.demo.running import RunningLivia
from livia.ops.demo.stage import Stage
from tests import ports


class System:
    """A running installation, a client of its API, and a stage with backends."""

    def __init__(self, directory: Path, extra: str = "") -> None:
        self.directory = directory
        config = directory / "octavia.conf"
        config.write_text(ports.installation() + extra)
        self.livia = RunningLivia(directory / "state", [config])
        self.livia.start()
        listen = self.livia.installation.settings.server
        self.endpoint = f"http://{listen.bind_host}:{listen.bind_port}"
        self.api = Api(listen.bind_host, listen.bind_port)
        self._stage: Stage | None = None

    @property
    def stage(self) -> Stage:
        """The network and its backends, made when first asked for."""
        if self._stage is None:
            self._stage = Stage(self.livia.installation)
        return self._stage

    def close(self) -> None:
        """Leave nothing: no backend, no service, no namespace, no file."""
        try:
            if self._stage is not None:
                self._stage.close()
        finally:
            self.livia.close(purge=True)
            shutil.rmtree(self.directory)


def make_system(extra: str = "") -> Iterator[System]:
    """A system in a short directory, for UNIX sockets' sake; removed whatever happens."""
    system = System(Path(tempfile.mkdtemp(prefix="lv-")), extra)
    try:
        yield system
    finally:
        system.close()


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    """One system for all tests of a module."""
    yield from make_system()
