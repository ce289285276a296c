"""Key material of one amphora: sealed on disk, in the open only in memory.

Disk: `<amphora>/sealed/<name>`, so that a host that was switched off serves again with no controller. Memory:
`<tmpfs>/<agent>/<amphora>/tls/`, to which `<amphora>/tls` points, for HAProxy to read; it is made of the sealed
ones whenever it is not there.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

from livia.agent import disk, tmpfs
from livia.agent.disk import AmphoraDirectory
from livia.agent.errors import PlumbingError
from livia.agent.haproxy import tls
from livia.agent.host import Host
from livia.core.spec import Spec


class Material:
    """The caller holds the amphora's lock. No text is kept here between two calls."""

    def __init__(self, host: Host, directory: AmphoraDirectory, amphora_id: str) -> None:
        self._host = host
        self._directory = directory
        self._id = amphora_id

    def keep(self, spec: Spec, texts: Mapping[str, str]) -> None:
        """Seal what `spec` uses; what was kept before stays until `prune`."""
        for name in sorted(set(tls.material_slots(spec).values())):
            if self._unsealed(name) is None:
                self._directory.sealed.mkdir(mode=0o700, exist_ok=True)
                disk.write(
                    self._directory.sealed / name, self._host.seal.close(texts[name].encode(), self._label(name))
                )

    def pem(self, name: str) -> str:
        """A PEM text without empty lines, at which HAProxy's runtime API would take it to end. Raises
        PlumbingError when it is not there any more."""
        content = self._unsealed(name)
        if content is None:
            raise PlumbingError(
                f"Key material {name} of amphora {self._id} cannot be unsealed: the controller must send it anew."
            )
        return "".join(f"{each}\n" for each in content.decode().splitlines() if each.strip())

    def lay_out(self, spec: Spec) -> None:
        """Have the files of `spec` in memory, where HAProxy reads them. Raises PlumbingError."""
        if not tls.lists(spec) and not tls.material_slots(spec):
            return
        live = self._memory() / tls.DIRECTORY
        self._write(spec, live)
        link = self._directory.path / tls.DIRECTORY
        if not link.is_symlink() or link.readlink() != live:
            link.unlink(missing_ok=True)
            link.symlink_to(live)

    def trial(self, spec: Spec) -> Path:
        """A working directory for HAProxy that is the amphora's but has the files of `spec`: what serves is not
        touched before HAProxy has said that it takes them. Raises PlumbingError."""
        if not tls.lists(spec) and not tls.material_slots(spec):
            return self._directory.path
        trial = self._memory() / "trial"
        shutil.rmtree(trial, ignore_errors=True)
        self._write(spec, trial / tls.DIRECTORY)
        for entry in self._directory.path.iterdir():
            if entry.name != tls.DIRECTORY:
                (trial / entry.name).symlink_to(entry)
        return trial

    def prune(self, spec: Spec) -> None:
        """Remove what `spec` does not use."""
        slots = tls.material_slots(spec)
        _keep_only(self._directory.sealed, set(slots.values()))
        home = self._home()
        if home is not None and home.exists():
            shutil.rmtree(home / "trial", ignore_errors=True)
            _keep_only(home / tls.DIRECTORY, slots.keys() | tls.lists(spec).keys())

    def remove(self) -> None:
        """Leave nothing in memory; the disk's goes with the amphora's directory."""
        home = self._home()
        if home is not None:
            shutil.rmtree(home, ignore_errors=True)

    def _write(self, spec: Spec, directory: Path) -> None:
        tmpfs.private_directory(directory)
        for slot, name in tls.material_slots(spec).items():
            _put(directory / slot, self.pem(name))
        for slot, text in tls.lists(spec).items():
            _put(directory / slot, text)

    def _memory(self) -> Path:
        """The amphora's directory in memory. Raises PlumbingError when there can be none."""
        home = self._host.memory() / self._id
        tmpfs.private_directory(home)
        if not tmpfs.in_memory(home):
            raise PlumbingError(f"Key material must not touch a disk, but {home} is not on a tmpfs.")
        return home

    def _home(self) -> Path | None:
        """Where it has been, or would be; None where there can be none."""
        try:
            return self._host.memory() / self._id
        except PlumbingError:
            return None

    def _unsealed(self, name: str) -> bytes | None:
        try:
            sealed = (self._directory.sealed / name).read_bytes()
        except FileNotFoundError:
            return None
        return self._host.seal.unseal(sealed, self._label(name))

    def _label(self, name: str) -> str:
        return f"{self._id}/{name}"


def _put(path: Path, text: str) -> None:
    try:
        if path.read_text() == text:
            return
    except FileNotFoundError:
        pass
    disk.write(path, text, mode=0o600, durable=False)


def _keep_only(directory: Path, names: set[str]) -> None:
    if directory.is_dir():
        for path in directory.iterdir():
            if path.name not in names:
                path.unlink()
        if not names:
            directory.rmdir()
