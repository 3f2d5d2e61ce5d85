"""The server's secret: keys derived from it, and what is encrypted under them.

The setting may list older secrets after the first: the first encrypts, all decrypt, and so the
secret can be changed while data encrypted under the old one is still there.
"""

import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_VERSION = b"\x01"
_NONCE_BYTES = 12


class WrongSecretKey(Exception):
    """None of the configured secrets opens what is stored."""


class SecretKeys:
    """The secrets of this server, newest first. Never printed."""

    def __init__(self, secrets_: Sequence[str]) -> None:
        if not secrets_:
            raise ValueError("at least one secret is needed")
        self._secrets = tuple(secret.encode() for secret in secrets_)

    def __repr__(self) -> str:
        return f"<{len(self._secrets)} secrets>"

    def derive(self, purpose: str) -> list[bytes]:
        """One 256-bit key per secret, newest first (HKDF, RFC 5869); each use has its purpose."""
        return [
            HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(secret)
            for secret in self._secrets
        ]

    def encrypt(self, plaintext: bytes, *, purpose: str, bound_to: str) -> bytes:
        """AES-256-GCM under the newest secret; decrypts only for the same purpose and binding."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        key = self.derive(purpose)[0]
        return _VERSION + nonce + AESGCM(key).encrypt(nonce, plaintext, bound_to.encode())

    def decrypt(self, ciphertext: bytes, *, purpose: str, bound_to: str) -> bytes:
        """What `encrypt` was given, under any of the secrets. Raises WrongSecretKey."""
        plaintext, _ = self._open(ciphertext, purpose, bound_to)
        return plaintext

    def renew(self, ciphertext: bytes, *, purpose: str, bound_to: str) -> bytes | None:
        """The same under the newest secret, or None if it is already. Raises WrongSecretKey."""
        plaintext, is_newest = self._open(ciphertext, purpose, bound_to)
        return None if is_newest else self.encrypt(plaintext, purpose=purpose, bound_to=bound_to)

    def _open(self, ciphertext: bytes, purpose: str, bound_to: str) -> tuple[bytes, bool]:
        nonce, body = ciphertext[1 : 1 + _NONCE_BYTES], ciphertext[1 + _NONCE_BYTES :]
        if ciphertext[:1] != _VERSION or len(nonce) < _NONCE_BYTES:
            raise WrongSecretKey
        for age, key in enumerate(self.derive(purpose)):
            try:
                return AESGCM(key).decrypt(nonce, body, bound_to.encode()), age == 0
            except InvalidTag:
                continue
        raise WrongSecretKey
