"""Sealing with keys of this service (AES-256-GCM)."""

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from livia.core.drivers import SealBroken

#: bytes of a key, and of a nonce (NIST SP 800-38D, section 8.2.2: random ones are good for 2**32 texts)
KEY_LENGTH = 32
_NONCE_LENGTH = 12


class KeySeal:
    """A Seal (`livia.core.drivers`). The first key seals, and any opens: a key can be replaced in two steps."""

    def __init__(self, *keys: bytes) -> None:
        """`keys`: at least one, each of `KEY_LENGTH` bytes."""
        self._ciphers: Sequence[AESGCM] = tuple(map(AESGCM, keys))

    def seal(self, plain: bytes, place: str) -> bytes:
        nonce = os.urandom(_NONCE_LENGTH)
        return nonce + self._ciphers[0].encrypt(nonce, plain, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        nonce, text = sealed[:_NONCE_LENGTH], sealed[_NONCE_LENGTH:]
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(nonce, text, place.encode())
            except (InvalidTag, ValueError):
                continue
        raise SealBroken
