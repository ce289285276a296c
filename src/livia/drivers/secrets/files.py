"""Secrets that are files in one directory (`local_cert_manager`, contract 90, [certificates] storage_path)."""

from pathlib import Path

import structlog

from livia.core.drivers import SecretNotFound, SecretUnreadable
from livia.core.model.secret import LARGEST, Material
from livia.core.rules.references import file_name

log = structlog.get_logger()


class FileSecrets:
    """A SecretStore on `<reference>.crt`, `.key`, `.int` (intermediates) and `.pass` (of the key).

    CA bundles, revocation lists and PKCS12 bundles are a `.crt` without a `.key`. Every project can name every file.
    """

    def __init__(self, storage_path: Path) -> None:
        self._directory = storage_path

    def read(self, reference: str, project_id: str | None) -> Material:
        name = file_name(reference)
        content = None if name is None else self._part(name, "crt")
        if name is None or content is None:
            raise SecretNotFound
        passphrase = self._part(name, "pass")
        return Material(
            content=content,
            private_key=self._part(name, "key"),
            intermediates=self._part(name, "int"),
            passphrase=None if passphrase is None else passphrase.rstrip(b"\r\n"),
        )

    def _part(self, name: str, suffix: str) -> bytes | None:
        path = self._directory / f"{name}.{suffix}"
        try:
            with path.open("rb") as file:
                content = file.read(LARGEST + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            log.error("secret file not read", path=str(path), error=str(error))
            raise SecretUnreadable("cannot be read by the service; its log says why") from error
        if len(content) > LARGEST:
            raise SecretUnreadable(f"is larger than {LARGEST} bytes")
        return content
