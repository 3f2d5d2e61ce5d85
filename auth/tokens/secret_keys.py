"""The secrets of the server: key derivation and encryption.

The setting lists the newest secret first. The first secret encrypts and all secrets decrypt, so the
secret can be changed while data is still encrypted under an older one.
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
    """None of the configured secrets decrypts the stored data."""


class SecretKeys:
    """The secrets of the server, newest first. The repr does not show them."""

    def __init__(self, secrets_: Sequence[str]) -> None:
        if not secrets_:
            raise ValueError("at least one secret is needed")
        self._secrets = tuple(secret.encode() for secret in secrets_)

    def __repr__(self) -> str:
        return f"<{len(self._secrets)} secrets>"

    def derive(self, purpose: str) -> list[bytes]:
        """Returns a 256-bit key per secret for a purpose, newest first (HKDF, RFC 5869)."""
        return [
            HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(secret)
            for secret in self._secrets
        ]

    def encrypt(self, plaintext: bytes, *, purpose: str, bound_to: str) -> bytes:
        """Encrypts with AES-256-GCM under the newest secret. `bound_to` is authenticated data."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        key = self.derive(purpose)[0]
        return _VERSION + nonce + AESGCM(key).encrypt(nonce, plaintext, bound_to.encode())

    def decrypt(self, ciphertext: bytes, *, purpose: str, bound_to: str) -> bytes:
        """Decrypts under any of the secrets. Raises WrongSecretKey."""
        plaintext, _ = self._decrypt(ciphertext, purpose, bound_to)
        return plaintext

    def renew(self, ciphertext: bytes, *, purpose: str, bound_to: str) -> bytes | None:
        """Encrypts again under the newest secret; None if it already is. Raises WrongSecretKey."""
        plaintext, is_newest = self._decrypt(ciphertext, purpose, bound_to)
        return None if is_newest else self.encrypt(plaintext, purpose=purpose, bound_to=bound_to)

    def _decrypt(self, ciphertext: bytes, purpose: str, bound_to: str) -> tuple[bytes, bool]:
        nonce, body = ciphertext[1 : 1 + _NONCE_BYTES], ciphertext[1 + _NONCE_BYTES :]
        if ciphertext[:1] != _VERSION or len(nonce) < _NONCE_BYTES:
            raise WrongSecretKey
        for age, key in enumerate(self.derive(purpose)):
            try:
                return AESGCM(key).decrypt(nonce, body, bound_to.encode()), age == 0
            except InvalidTag:
                continue
        raise WrongSecretKey
