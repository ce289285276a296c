"""The secret store of a machine, written as `livia secret` does it, while everything fails."""

import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy.exc import OperationalError

from livia.core.drivers import DriverError
from livia.ops import drivers, secrets
from livia.ops.services import Installation
from tests.crash.client import UndecidedError

#: seconds in which it must be possible to find out whether a secret was replaced
_PATIENCE = 180.0


class Vault:
    """That of an installation. `bundle`: whether a text is of authorities or of what they revoked, not a certificate
    with its key."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def create(self, name: str, text: bytes, *, bundle: bool) -> str:
        """Keep a secret. Its reference."""
        with tempfile.TemporaryDirectory() as directory:
            return secrets.create(self._installation, _files(directory, text, bundle=bundle), name=name).reference

    def replace(self, reference: str, text: bytes, is_it: Callable[[bytes], bool], *, bundle: bool) -> str | None:
        """What `livia secret replace` does, once: why nothing was replaced, or None. Where it does not say, that is
        found out by `is_it` of what is kept. Raises UndecidedError."""
        with tempfile.TemporaryDirectory() as directory:
            try:
                secrets.replace_material(self._installation, reference, _files(directory, text, bundle=bundle))
            except (secrets.SecretError, OperationalError, OSError) as error:
                return None if is_it(self._kept(reference)) else str(error)
            return None

    def _kept(self, reference: str) -> bytes:
        """The text that the store has."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            try:
                with closing(self._installation.database()) as database:
                    vault = drivers.vault(self._installation.complete_settings, database, self._installation.clock)
                    return vault.read(reference, None).content
            except (DriverError, OperationalError, OSError):
                time.sleep(0.2)
        raise UndecidedError(f"nobody says whether {reference} was replaced")


def _files(directory: str, text: bytes, *, bundle: bool) -> secrets.Files:
    path = Path(directory) / "secret.pem"
    path.write_bytes(text)
    return secrets.Files(bundle=path) if bundle else secrets.Files(certificate=path)
