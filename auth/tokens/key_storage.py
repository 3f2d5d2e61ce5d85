"""Stores signing keys. Private keys are encrypted under the secret of the server."""

import asyncio
import json
import secrets
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

from auth.tokens.key_material import Algorithm, Key, key_from_jwk, new_private_jwk
from auth.tokens.key_set import KeySet
from auth.tokens.secret_keys import SecretKeys, WrongSecretKey
from models.signing_key import SigningKey

_PURPOSE = "postern signing keys"


class KeyRows:
    """Decrypts the keys of rows, and generates keys with their rows."""

    def __init__(self, secret_keys: SecretKeys, algorithm: Algorithm) -> None:
        self._secret_keys = secret_keys
        self.algorithm = algorithm

    def read(self, rows: Iterable[SigningKey], known: KeySet) -> KeySet:
        """Returns the keys of rows. Keys never change, so known ones are not decrypted again."""
        keys: dict[str, Key] = {}
        locked: dict[str, datetime] = {}
        for row in rows:
            try:
                keys[row.kid] = known.keys.get(row.kid) or self._decrypt(row)
            except WrongSecretKey:
                locked[row.kid] = row.active_from
        return KeySet(keys, locked)

    async def generate(self, now: datetime, *, active_from: datetime) -> tuple[SigningKey, Key]:
        """Generates a key in a thread. Returns its row and the key.

        Call it outside of transactions, since an RSA key takes a second.
        """
        return await asyncio.to_thread(self._generate, now, active_from)

    def _generate(self, now: datetime, active_from: datetime) -> tuple[SigningKey, Key]:
        kid = secrets.token_urlsafe(16)
        private_jwk = new_private_jwk(self.algorithm)
        key = key_from_jwk(private_jwk, kid=kid, algorithm=self.algorithm, active_from=active_from)
        row = SigningKey(
            kid=kid,
            algorithm=self.algorithm.value,
            encrypted_private_key=self._secret_keys.encrypt(
                json.dumps(private_jwk).encode(), purpose=_PURPOSE, bound_to=kid
            ),
            public_jwk=key.public_jwk,
            created_at=now,
            active_from=active_from,
        )
        return row, key

    def renew_encryption(self, row: SigningKey) -> None:
        """Encrypts the key of a row under the newest secret, if one of the secrets decrypts it."""
        with suppress(WrongSecretKey):
            renewed = self._secret_keys.renew(
                row.encrypted_private_key, purpose=_PURPOSE, bound_to=row.kid
            )
            if renewed is not None:
                row.encrypted_private_key = renewed

    def _decrypt(self, row: SigningKey) -> Key:
        private = self._secret_keys.decrypt(
            row.encrypted_private_key, purpose=_PURPOSE, bound_to=row.kid
        )
        return key_from_jwk(
            json.loads(private), kid=row.kid, algorithm=row.algorithm, active_from=row.active_from
        )
