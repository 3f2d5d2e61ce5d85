"""Signed tokens, against the vectors of Project Wycheproof."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, RSAAlgorithm

from auth import jws
from auth.jws import InvalidSignedToken

VECTORS = Path(__file__).parent / "wycheproof" / "json_web_signature_test.json"
# Algorithms that Postern has; the others cannot be given to the verifier at all.
READERS: dict[str, Any] = {"ES256": ECAlgorithm, "RS256": RSAAlgorithm, "HS256": HMACAlgorithm}


# Vectors where we know better than their label.
OUR_VERDICT = {
    259: False,  # an empty payload: no token of ours is without claims
    367: True,  # to the letter the token of vector 357, which is valid
    370: True,  # the same
    372: False,  # a character that is not base64url: RFC 7515 has no room for it
    373: False,  # the same
}


@dataclass(frozen=True)
class VectorKey:
    """The key of a group of vectors, pinned to its algorithm."""

    algorithm: str
    verifier: Any


def cases() -> Iterator[Any]:
    for group in json.loads(VECTORS.read_text(encoding="utf-8"))["testGroups"]:
        jwk = group.get("public") or group["private"]
        if jwk.get("alg") not in READERS:
            continue
        for test in group["tests"]:
            name = f"{test['tcId']}-{test['comment']}"
            wanted = OUR_VERDICT.get(test["tcId"], test["result"] == "valid")
            yield pytest.param(jwk, test["jws"], wanted, id=name)


def verifies(jwk: dict[str, Any], token: Any) -> bool:
    key = READERS[jwk["alg"]].from_jwk(jwk)
    try:
        jws.verify(token, VectorKey(jwk["alg"], key))
    except InvalidSignedToken:
        return False
    return True


@pytest.mark.parametrize(("jwk", "token", "wanted"), list(cases()))
def test_wycheproof(jwk: dict[str, Any], token: Any, wanted: bool) -> None:
    assert verifies(jwk, token) == wanted


@given(st.text())
def test_no_text_makes_the_reader_stumble(text: str) -> None:
    with pytest.raises(InvalidSignedToken):
        jws.read_header(text)


@given(st.binary(min_size=1))
def test_no_header_makes_the_reader_stumble(raw: bytes) -> None:
    token = f"{jws.encode_part(raw)}.AAAA.AAAA"
    try:
        header = jws.read_header(token)
    except InvalidSignedToken:
        return
    assert all(isinstance(value, str) for value in header.values())
