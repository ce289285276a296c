"""The keepalived of one amphora: what it reads, and whether it lives. Which of a pair's amphorae has the VIP is its
to say."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from livia.agent import disk
from livia.agent.disk import AmphoraDirectory
from livia.agent.keepalived import render
from livia.core.spec import Spec


class Keepalived:
    """There is one where the spec has VRRP; what is asked of it elsewhere does nothing."""

    def __init__(self, directory: AmphoraDirectory) -> None:
        self._directory = directory

    def text(self, spec: Spec) -> str | None:
        """keepalived.conf; None without VRRP. Raises InvalidSpecError."""
        return render.render(spec, str(self._directory.track))

    def write(self, spec: Spec, text: str | None) -> None:
        """What it and its scripts read. Raises PlumbingError."""
        disk.write(self._directory.vips, render.floating(spec), durable=False)
        if text is not None:
            disk.write(self._directory.keepalived_config, text, durable=False)

    def hold_back(self) -> None:
        """Not master before HAProxy answers: the run script of HAProxy says when. Raises PlumbingError."""
        disk.write(self._directory.track, render.DOWN, durable=False)

    def release(self) -> None:
        """HAProxy answers: it may be master. Its run script says so, too, unless the disk was full. Raises
        PlumbingError."""
        if self._directory.track.read_bytes() != render.UP.strip().encode():
            disk.write(self._directory.track, render.UP.strip(), durable=False)

    def reload(self) -> None:
        """Have it read its file again, if it lives."""
        pid = self._pid()
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGHUP)

    def runs(self) -> bool:
        """Whether its process is alive."""
        return self._pid() is not None

    def _pid(self) -> int | None:
        try:
            pid = int(self._directory.keepalived_pid.read_text())
            name = Path(f"/proc/{pid}/comm").read_text().strip()
        except (OSError, ValueError):
            return None
        return pid if name == "keepalived" else None
