"""JSON Web Tokens, with real keys and a real JWKS server."""

from __future__ import annotations

import base64
import hmac
import json
from hashlib import sha256
from time import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.responses import PlainTextResponse

from app.auth import Authentication
from app.auth import Principal
from app.auth import tokens as module
from app.auth.keyset import ALGORITHMS
from app.auth.keyset import KeySet
from app.auth.tokens import Tokens
from tests.auth.issuer import Jwks
from tests.auth.issuer import claims
from tests.auth.issuer import private_key
from tests.auth.issuer import public_jwk
from tests.auth.issuer import token
from tests.http.asgi import Answer
from tests.http.asgi import call

pytestmark = pytest.mark.anyio


def bearer(credential: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", b"Bearer " + credential)]


async def ask(jwks: Jwks, *credentials: bytes, method: str = "GET") -> list[Answer]:
    """The answers to one request per token, by one application."""
    async with KeySet(jwks.url) as keys:
        app = Authentication(PlainTextResponse("let in"), {}, Tokens(jwks.issuer, keys))
        return [await call(app, method, headers=bearer(one)) for one in credentials]


async def assert_refused(jwks: Jwks, credential: bytes, detail: str = "not valid") -> None:
    good, bad = await ask(jwks, token(), credential)
    assert good.status == 200
    assert (bad.status, "principal" in bad.scope) == (401, False)
    assert detail in bad.json()["detail"]
    assert 'error="invalid_token"' in bad.values("www-authenticate")[0]


def signed_by_hand(header: dict[str, Any], signature: bytes | None = None, **said: Any) -> bytes:
    def segment(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    parts = (json.dumps(header).encode(), json.dumps(claims(**said)).encode())
    text = b".".join(map(segment, parts))
    if signature is None:
        key = private_key("RS256")
        signature = jwt.get_algorithm_by_name("RS256").sign(text, key)
    return text + b"." + segment(signature)


def pem(key: Any) -> bytes:
    public: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return public


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_every_allowed_algorithm_works(jwks: Jwks, algorithm: str) -> None:
    jwks.keys = [public_jwk("one", algorithm)]
    (answer,) = await ask(jwks, token(algorithm))
    assert answer.status == 200
    assert answer.scope["principal"] == Principal(
        "jwt:alice", "premium", frozenset({"read", "write"})
    )


async def test_without_tier_and_scope_there_is_little_to_do(jwks: Jwks) -> None:
    (answer,) = await ask(jwks, token(tier=None, scope=None))
    assert answer.status == 403


@pytest.mark.parametrize("tier", [None, 7, ["premium"], "", "x" * 50, "pre mium", "A", "a\nb"])
async def test_a_tier_that_is_no_name_is_the_standard_one(jwks: Jwks, tier: Any) -> None:
    (answer,) = await ask(jwks, token(tier=tier))
    assert answer.scope["principal"].tier == "standard"


async def test_scopes_hold_for_tokens(jwks: Jwks) -> None:
    read, write = token(scope="read"), token(scope="write other")
    assert [a.status for a in await ask(jwks, read, write)] == [200, 403]
    assert [a.status for a in await ask(jwks, read, write, method="POST")] == [403, 200]
    listed = token(scope=["read", "write"])
    assert [a.status for a in await ask(jwks, listed)] == [403]


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"iss": "https://issuer.example/"},
        {"iss": None},
        {"aud": "payments"},
        {"aud": ["payments"]},
        {"aud": []},
        {"aud": None},
        {"aud": "order"},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 256},
        {"exp": None},
        {"exp": "soon"},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"nbf": int(time()) + 300},
        {"iat": int(time()) + 300},
    ],
)
async def test_wrong_claims_are_refused(jwks: Jwks, changes: dict[str, Any]) -> None:
    await assert_refused(jwks, token(**changes))


@pytest.mark.parametrize("claim", ["iss", "sub", "exp", "aud"])
@pytest.mark.parametrize("value", [7, ["orders", 7], {"a": 1}, True, "1e999"])
async def test_claims_of_a_wrong_type_are_refused(jwks: Jwks, claim: str, value: Any) -> None:
    said = signed_by_hand({"alg": "RS256", "kid": "one"}, **{claim: value})
    good, bad = await ask(jwks, token(), said)
    assert (good.status, bad.status) == (200, 401)


async def test_an_audience_among_others_is_meant(jwks: Jwks) -> None:
    (answer,) = await ask(jwks, token(aud=["payments", "orders"]))
    assert answer.status == 200


async def test_clocks_may_differ_by_half_a_minute(jwks: Jwks) -> None:
    now = int(time())
    answers = await ask(jwks, token(exp=now - 20), token(nbf=now + 20), token(exp=now - 40))
    assert [answer.status for answer in answers] == [200, 200, 401]


async def test_an_expired_token_is_told_so(jwks: Jwks) -> None:
    await assert_refused(jwks, token(exp=int(time()) - 60), "expired")


async def test_only_a_genuine_token_is_told_that_it_expired(jwks: Jwks) -> None:
    forged = token(number=1, exp=int(time()) - 60)
    await assert_refused(jwks, forged, "not valid")


async def test_another_key_is_refused(jwks: Jwks) -> None:
    await assert_refused(jwks, token(number=1))
    await assert_refused(jwks, token("ES256"))


async def test_no_signature_is_refused(jwks: Jwks) -> None:
    for name in ("none", "None", "NONE", "nOnE", ""):
        await assert_refused(jwks, signed_by_hand({"alg": name, "kid": "one"}, b""))
    head, body, _ = token().split(b".")
    await assert_refused(jwks, head + b"." + body + b".")


@pytest.mark.parametrize("name", ["HS256", "HS384", "HS512"])
async def test_the_public_key_is_no_secret(jwks: Jwks, name: str) -> None:
    public = pem(private_key("RS256"))
    jwk = public_jwk("one", "RS256")
    for secret in (public, public.strip(), json.dumps(jwk).encode(), jwk["n"].encode(), b""):
        unsigned = signed_by_hand({"alg": name, "kid": "one"}, b"").rpartition(b".")[0]
        mac = hmac.digest(secret, unsigned, name.replace("HS", "sha"))
        signature = base64.urlsafe_b64encode(mac).rstrip(b"=")
        await assert_refused(jwks, unsigned + b"." + signature)


async def test_a_symmetric_key_of_the_issuer_is_not_used(jwks: Jwks) -> None:
    secret = b"s" * 32
    k = base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
    jwks.keys.append({"kty": "oct", "kid": "shared", "k": k, "alg": "HS256"})
    forged = jwt.encode(claims(), secret, "HS256", headers={"kid": "shared"}).encode()
    await assert_refused(jwks, forged)


async def test_the_key_decides_on_the_algorithm(jwks: Jwks) -> None:
    # a genuine signature, by an algorithm that the key is not meant for
    other = jwt.encode(claims(), private_key("RS256"), "RS512", headers={"kid": "one"})
    await assert_refused(jwks, other.encode())
    await assert_refused(jwks, signed_by_hand({"alg": "PS256", "kid": "one"}))


@pytest.mark.parametrize("kid", [None, "", "two", "../one", "one\0", "x" * 2000])
async def test_a_token_without_a_known_key_is_refused(jwks: Jwks, kid: str | None) -> None:
    await assert_refused(jwks, token(kid=kid))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "RS256", "kid": 7},
        {"alg": "RS256", "kid": ["one"]},
        {"alg": ["RS256"], "kid": "one"},
        {"alg": None, "kid": "one"},
        {"kid": "one"},
        {"alg": "RS256", "kid": "one", "crit": ["exp"]},
        {"alg": "RS256", "kid": "one", "b64": False},
        {"alg": "RS256", "kid": "one", "b64": False, "crit": ["b64"]},
    ],
)
async def test_odd_headers_are_refused(jwks: Jwks, header: dict[str, Any]) -> None:
    await assert_refused(jwks, signed_by_hand(header))


async def test_a_key_that_the_token_brings_along_is_not_used(jwks: Jwks) -> None:
    with Jwks().serving() as evil:
        evil.keys = [public_jwk("one", "RS256", 1)]
        jwk = public_jwk("one", "RS256", 1)
        headers = {"kid": "one", "jku": evil.url, "x5u": evil.url, "jwk": jwk}
        key = private_key("RS256", 1)
        forged = jwt.encode(claims(), key, "RS256", headers=headers).encode()
        await assert_refused(jwks, forged)
        assert evil.fetches == 0


async def test_a_changed_token_is_refused_at_every_character(jwks: Jwks) -> None:
    good = token()
    changed = [
        good[:at] + (b"A" if good[at : at + 1] != b"A" else b"B") + good[at + 1 :]
        for at in range(0, len(good), 3)
    ]
    answers = await ask(jwks, *changed)
    assert {answer.status for answer in answers} == {401}


@pytest.mark.parametrize("place", range(3))
async def test_a_second_spelling_is_refused(jwks: Jwks, place: int) -> None:
    parts = token().split(b".")
    spelled = []
    for extra in (b"!", b"=", b"====", b"\n", b" ", b"\xff", b"A"):
        changed = [*parts]
        changed[place] += extra
        spelled.append(b".".join(changed))
    good, *bad = await ask(jwks, b".".join(parts), *spelled)
    assert good.status == 200
    assert {answer.status for answer in bad} == {401}


async def test_a_token_in_the_header_of_keys_is_refused(jwks: Jwks) -> None:
    async with KeySet(jwks.url) as keys:
        app = Authentication(PlainTextResponse("let in"), {}, Tokens(jwks.issuer, keys))
        answer = await call(app, headers=[(b"x-api-key", token())])
    assert answer.status == 401


async def test_without_an_issuer_tokens_are_refused() -> None:
    answer = await call(Authentication(PlainTextResponse("let in"), {}), headers=bearer(token()))
    assert answer.status == 401


async def test_a_subject_cannot_pass_for_a_key(jwks: Jwks) -> None:
    (answer,) = await ask(jwks, token(sub="key:acme"))
    assert answer.scope["principal"].id == "jwt:key:acme"


async def test_a_huge_token_is_not_even_read(jwks: Jwks, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    monkeypatch.setattr(Tokens, "known", lambda _, token: read.append(token))
    (answer,) = await ask(jwks, token(extra="x" * 100_000))
    assert answer.status == 401
    assert read == []


class Counted:
    """Counts the signatures that are verified."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.signatures = 0
        real = module._signed

        def counting(*arguments: Any) -> bool:
            self.signatures += 1
            return real(*arguments)

        patch.setattr(module, "_signed", counting)


async def test_a_token_is_verified_once_a_minute(
    jwks: Jwks, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch)
    clock = start = int(time())
    monkeypatch.setattr(module, "time", lambda: clock)
    good = token(exp=start + 90)
    async with KeySet(jwks.url) as keys:
        app = Authentication(PlainTextResponse("let in"), {}, Tokens(jwks.issuer, keys))
        for later, signatures in ((0, 1), (0, 1), (59, 1), (61, 2), (89, 2), (91, 3), (91, 4)):
            clock = start + later
            assert (await call(app, headers=bearer(good))).status == 200
            assert counted.signatures == signatures, later


async def test_refused_tokens_are_not_remembered(
    jwks: Jwks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)
    async with KeySet(jwks.url) as keys:
        tokens = Tokens(jwks.issuer, keys)
        app = Authentication(PlainTextResponse("let in"), {}, tokens)
        await call(app, headers=bearer(token(number=1)))
        assert len(tokens._known) == 0
        for name in "abcde":
            await call(app, headers=bearer(token(sub=name)))
        assert len(tokens._known) == 2
        assert tokens.known(token(number=1)) is None


async def test_nothing_of_a_token_is_kept(jwks: Jwks) -> None:
    async with KeySet(jwks.url) as keys:
        tokens, good = Tokens(jwks.issuer, keys), token()
        await tokens.verify(good)
        assert list(tokens._known) == [sha256(good).digest()]


async def test_a_weak_key_is_not_used(jwks: Jwks) -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    described = json.loads(jwt.get_algorithm_by_name("RS256").to_jwk(weak.public_key()))
    jwks.keys.append({**described, "kid": "weak", "alg": "RS256"})
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        forged = jwt.encode(claims(), weak, "RS256", headers={"kid": "weak"}).encode()
    await assert_refused(jwks, forged)
