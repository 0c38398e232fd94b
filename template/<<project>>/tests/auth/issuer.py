"""An issuer of tokens on a free local port: real keys, a JWKS document over HTTP, and outages."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from time import sleep
from time import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.asymmetric import rsa

from app.auth.settings import Issuer

NAME, AUDIENCE = "https://issuer.example", "orders"


@cache
def private_key(algorithm: str, number: int = 0) -> Any:
    """A private key for this algorithm, made once; `number` for another one."""
    match algorithm[:2]:
        case "RS" | "PS":
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)
        case "ES":
            curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
            return ec.generate_private_key(curves[algorithm])
    return ed25519.Ed25519PrivateKey.generate()


def public_jwk(kid: str, algorithm: str, number: int = 0, **more: Any) -> dict[str, Any]:
    """The public half as the JWKS document has it."""
    key = private_key(algorithm, number).public_key()
    described = json.loads(jwt.get_algorithm_by_name(algorithm).to_jwk(key))
    return {**described, "kid": kid, "use": "sig", "alg": algorithm, **more}


def claims(**changes: Any) -> dict[str, Any]:
    """What a good token says; None takes a claim out."""
    now = int(time())
    said = {
        "iss": NAME,
        "aud": AUDIENCE,
        "sub": "alice",
        "exp": now + 600,
        "iat": now,
        "tier": "premium",
        "scope": "read write",
        **changes,
    }
    return {name: value for name, value in said.items() if value is not None}


def token(
    algorithm: str = "RS256", kid: str | None = "one", number: int = 0, **changes: Any
) -> bytes:
    """A token with these claims, signed."""
    headers = {"kid": kid} if kid else {}
    key = private_key(algorithm, number)
    return jwt.encode(claims(**changes), key, algorithm, headers=headers).encode()


class Jwks:
    """What the server answers, and how often it was asked."""

    def __init__(self) -> None:
        self.keys: list[Any] = [public_jwk("one", "RS256")]
        self.body: bytes | None = None  # instead of the keys
        self.status = 200
        self.headers: dict[str, str] = {}
        self.wait_s = 0.0
        self.drip_s = 0.0  # between the bytes
        self.fetches = 0
        self.url = ""

    @property
    def issuer(self) -> Issuer:
        """The issuer whose keys these are."""
        return Issuer(NAME, AUDIENCE, self.url)

    @contextmanager
    def serving(self) -> Iterator[Jwks]:
        """Serve within the block."""
        jwks = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                jwks.fetches += 1
                sleep(jwks.wait_s)
                body = json.dumps({"keys": jwks.keys}).encode() if jwks.body is None else jwks.body
                self.send_response(jwks.status)
                for name, value in jwks.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self._write(body)
                except ConnectionError:
                    self.close_connection = True

            def _write(self, body: bytes) -> None:
                if not jwks.drip_s:
                    self.wfile.write(body)
                    return
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    sleep(jwks.drip_s)

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_port}/jwks.json"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
