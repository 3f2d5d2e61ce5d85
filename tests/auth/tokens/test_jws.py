"""JWS: strict encoding, one algorithm per key, and the vectors of Project Wycheproof."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm

from auth.tokens import jws
from auth.tokens.jws import InvalidSignedToken, encode_part
from auth.tokens.key_material import Algorithm
from tests.auth.forging import new_key, sign
from tests.clock import ManualClock

VECTORS = Path(__file__).parent / "wycheproof" / "json_web_signature_test.json"
# There are no vectors of EdDSA. The example of RFC 8037 is tested below.
READERS: dict[str, Any] = {"ES256": ECAlgorithm, "RS256": RSAAlgorithm, "HS256": HMACAlgorithm}
# Skipped groups: algorithms that are not supported, and encryption keys without an algorithm
# (vectors 353 to 356).
SKIPPED = {"RS384", "RS512", "PS256", "PS384", "PS512", "ES521", None}

# Vectors for which the expected result differs from their label.
EXPECTED = {
    259: False,  # an empty payload: tokens have claims
    367: True,  # the same token as in vector 357, which is valid
    370: True,  # the same
    372: False,  # a character that is not base64url (RFC 7515)
    373: False,  # the same
}
# The reason for which valid ones among them are rejected.
NO_COMPACT_FORM = "not three base64url parts"


@dataclass(frozen=True)
class VectorKey:
    """The key of a group of vectors and its algorithm."""

    algorithm: str
    verifier: Any


def groups() -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    for group in json.loads(VECTORS.read_text(encoding="utf-8"))["testGroups"]:
        yield group.get("public") or group["private"], group["tests"]


def cases() -> Iterator[Any]:
    for jwk, tests in groups():
        if jwk.get("alg") not in READERS:
            continue
        for test in tests:
            name = f"{test['tcId']}-{test['comment']}"
            wanted = EXPECTED.get(test["tcId"], test["result"] == "valid")
            yield pytest.param(jwk, test["jws"], wanted, id=name)


def key_of(jwk: dict[str, Any]) -> VectorKey:
    return VectorKey(jwk["alg"], READERS[jwk["alg"]].from_jwk(jwk))


def verifies(jwk: dict[str, Any], token: Any) -> bool:
    try:
        jws.verify(token, key_of(jwk))
    except InvalidSignedToken:
        return False
    return True


@pytest.mark.parametrize(("jwk", "token", "wanted"), list(cases()))
def test_wycheproof(jwk: dict[str, Any], token: Any, wanted: bool) -> None:
    assert verifies(jwk, token) == wanted


def test_all_vectors_of_supported_algorithms_are_used() -> None:
    assert {jwk.get("alg") for jwk, _ in groups()} == {*READERS, *SKIPPED}
    assert len(list(cases())) == 312


def test_rejected_valid_vectors_have_non_canonical_encoding() -> None:
    refused = [
        (jwk, test["jws"])
        for jwk, tests in groups()
        for test in tests
        if test["result"] == "valid" and EXPECTED.get(test["tcId"]) is False
    ]
    assert len(refused) == 3
    for jwk, token in refused:
        with pytest.raises(InvalidSignedToken, match=NO_COMPACT_FORM):
            jws.verify(token, key_of(jwk))


def test_eddsa_example_of_rfc_8037_verifies() -> None:
    # RFC 8037, appendix A.4.
    public = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    token = (
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    )
    key = VectorKey("EdDSA", OKPAlgorithm.from_jwk(public))
    assert jws.verify(token, key) == b"Example of Ed25519 signing"


@pytest.mark.parametrize("algorithm", Algorithm)
def test_key_verifies_its_signature(clock: ManualClock, algorithm: Algorithm) -> None:
    key = new_key(algorithm, clock)
    token = jws.sign({"sub": "x"}, key.signer, algorithm=algorithm, kid=key.kid, typ="at+jwt")
    assert jws.verify(token, key) == b'{"sub":"x"}'
    assert jws.read_header(token) == {"alg": algorithm, "kid": key.kid, "typ": "at+jwt"}


@pytest.mark.parametrize("algorithm", Algorithm)
@pytest.mark.parametrize("part", [0, 1, 2])
def test_other_last_character_is_invalid(
    clock: ManualClock, algorithm: Algorithm, part: int
) -> None:
    key = new_key(algorithm, clock)
    parts = sign({"alg": algorithm}, {"a": "loose bits"}, algorithm, key.signer).split(".")
    for character in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
        other = [*parts]
        other[part] = other[part][:-1] + character
        if other != parts:
            with pytest.raises(InvalidSignedToken):
                jws.verify(".".join(other), key)


def test_non_canonical_base64url_is_invalid() -> None:
    with pytest.raises(InvalidSignedToken, match="not canonical"):
        jws.read_header(f"{encode_part(b'{}')[:-1]}1.AAAA.AAAA")


def test_impossible_base64url_length_is_invalid() -> None:
    with pytest.raises(InvalidSignedToken, match="not base64url"):
        jws.read_header("AAAAA.AAAA.AAAA")


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "nOnE", "", "HS256", "ES384", "ES256 ", "es256"]
)
def test_algorithm_must_be_that_of_key(clock: ManualClock, algorithm: str) -> None:
    key = new_key(Algorithm.ES256, clock)
    token = sign({"alg": algorithm}, {}, Algorithm.ES256, key.signer)
    with pytest.raises(InvalidSignedToken, match="the algorithm"):
        jws.verify(token, key)


@pytest.mark.parametrize("algorithm", [None, 0, True, ["none"], {"none": 1}])
def test_algorithm_must_be_text(clock: ManualClock, algorithm: object) -> None:
    key = new_key(Algorithm.ES256, clock)
    with pytest.raises(InvalidSignedToken, match="not text"):
        jws.verify(sign({"alg": algorithm}, {}, Algorithm.ES256, key.signer), key)


@pytest.mark.parametrize("asymmetric", [Algorithm.ES256, Algorithm.EDDSA, Algorithm.RS256])
def test_public_key_is_not_accepted_as_hmac_secret(
    clock: ManualClock, asymmetric: Algorithm
) -> None:
    key = new_key(asymmetric, clock)
    for secret in spellings_of(key):
        token = sign({"alg": "HS256"}, {}, "HS256", secret)
        with pytest.raises(InvalidSignedToken, match="the algorithm"):
            jws.verify(token, key)


def spellings_of(key: Any) -> Iterator[bytes]:
    """Returns the encodings of a public key that an attacker may use."""
    yield key.verifier.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    yield key.verifier.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    yield json.dumps(key.public_jwk).encode()


def test_hmac_secret_shorter_than_hash_is_rejected() -> None:
    secret = b"31 bytes are too few for SHA256"
    token = sign({"alg": "HS256"}, {}, "HS256", secret)
    with pytest.raises(InvalidSignedToken):
        jws.verify(token, VectorKey("HS256", secret))


@pytest.mark.parametrize("crit", ["exp", ""])
def test_critical_extensions_are_rejected(crit: str) -> None:
    header = encode_part(json.dumps({"alg": "ES256", "crit": crit}).encode())
    with pytest.raises(InvalidSignedToken, match="critical"):
        jws.read_header(f"{header}.AAAA.AAAA")


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b'"ES256"',
        b"null",
        b"7" * 5000,
        b'{"alg": NaN}',
        b'{"alg": "\xff"}',
        b'{"alg": "\\ud800"}',
        b'{"alg": "ES256", "deep": ' + b"[" * 400 + b"]" * 400 + b"}",
        b"[" * 3000,
        b"[" * 3000 + b"]" * 3000,
        b'{"a":' * 1000 + b"1" + b"}" * 1000,
    ],
    ids=lambda header: repr(header[:20]),
)
def test_malformed_header_is_invalid(header: bytes) -> None:
    with pytest.raises(InvalidSignedToken):
        jws.read_header(f"{encode_part(header)}.AAAA.AAAA")


@pytest.mark.parametrize(("size", "fits"), [(5900, True), (6200, False)])
def test_token_has_at_most_8192_characters(clock: ManualClock, size: int, fits: bool) -> None:
    key = new_key(Algorithm.HS256, clock)
    token = sign({"alg": "HS256"}, {"roles": "a" * size}, "HS256", key.signer)
    if fits:
        assert jws.verify(token, key)
        return
    with pytest.raises(InvalidSignedToken, match="too long"):
        jws.verify(token, key)


@given(st.text())
def test_any_text_is_parsed_or_invalid(text: str) -> None:
    with pytest.raises(InvalidSignedToken):
        jws.read_header(text)


@given(st.binary(min_size=1))
def test_any_header_is_parsed_or_invalid(raw: bytes) -> None:
    token = f"{jws.encode_part(raw)}.AAAA.AAAA"
    try:
        header = jws.read_header(token)
    except InvalidSignedToken:
        return
    assert all(isinstance(value, str) for value in header.values())
