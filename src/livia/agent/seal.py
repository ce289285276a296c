"""What must not lie on a disk as it is: sealed with the agent's own key (AES-256-GCM, NIST SP 800-38D).

The key is a file of its own, not derived from the agent's certificate: that one is replaced while the agent lives,
and what it had sealed must be read afterwards. Who can read the whole state directory as root can unseal; a copy of
an amphora's directory alone, a backup without the key, or a disk whose key file was wiped tells nothing.
"""

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from livia.agent import disk
from livia.agent.errors import PlumbingError

_KEY_BYTES = 32
#: the length that GCM is specified for (SP 800-38D, section 8.2)
_NONCE_BYTES = 12


class Seal:
    """Seals bytes together with a label, and opens what it has sealed under the same label."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    @classmethod
    def open(cls, path: Path) -> "Seal":
        """With the key in `path`, which is made at the first time. Raises PlumbingError when it is damaged."""
        if not path.exists():
            disk.write(path, os.urandom(_KEY_BYTES), mode=0o600)
        key = path.read_bytes()
        if len(key) != _KEY_BYTES:
            raise PlumbingError(
                f"{path} is damaged: it has {len(key)} bytes, not {_KEY_BYTES}. Remove it; "
                "controllers send key material anew with the next change of each load balancer."
            )
        return cls(key)

    def close(self, content: bytes, label: str) -> bytes:
        """`content` sealed."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, label.encode())

    def unseal(self, sealed: bytes, label: str) -> bytes | None:
        """What was sealed under `label`; None when this is not it."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], label.encode())
        except (InvalidTag, ValueError):
            return None
