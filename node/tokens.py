"""Tokens: JWT signed with Ed25519, checked against a JWKS file.

A subject is `kind:id`, for instance `rider:17`, `user:ana`, `order:0198…` (may watch that order only) or `ops:me`.
The audience is always `forno`; times are wall time.
"""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt.algorithms import OKPAlgorithm

from node.errors import Unauthenticated

AUDIENCE = "forno"
ALGORITHM = "EdDSA"


@dataclass(frozen=True, slots=True)
class Subject:
    """Holder of a token: its kind, its id, and what else the token says (for a rider its `city`)."""

    kind: str
    id: str
    claims: Mapping[str, Any] = field(default_factory=dict)


def create_keys(private_key_file: Path, jwks_file: Path) -> None:
    """Makes a key pair and writes both files; the private one is readable by its owner only."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    private_key_file.touch(mode=0o600)
    private_key_file.write_bytes(pem)
    jwk = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    named = {**jwk, "alg": ALGORITHM, "use": "sig", "kid": key_id(key.public_key())}
    jwks_file.write_text(json.dumps({"keys": [named]}, indent=1))


def key_id(key: Ed25519PublicKey) -> str:
    """The key's name in tokens and key sets: its thumbprint (RFC 7638)."""
    jwk = OKPAlgorithm.to_jwk(key, as_dict=True)
    required = json.dumps({name: jwk[name] for name in ("crv", "kty", "x")}, separators=(",", ":"))
    return urlsafe_b64encode(sha256(required.encode()).digest()).rstrip(b"=").decode()


class TokenSigner:
    """Signs tokens with the key of a PEM file."""

    def __init__(self, private_key_file: Path) -> None:
        key = serialization.load_pem_private_key(private_key_file.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"{private_key_file}: not an Ed25519 private key")
        self._key = key
        self._key_id = key_id(key.public_key())

    def sign(self, kind: str, subject_id: str, *, ttl_s: int, **claims: Any) -> str:
        """A token for `kind:subject_id` that lives for `ttl_s` wall seconds."""
        now_s = int(time.time())
        body = {"sub": f"{kind}:{subject_id}", "aud": AUDIENCE, "iat": now_s, "exp": now_s + ttl_s, **claims}
        return jwt.encode(body, self._key, algorithm=ALGORITHM, headers={"kid": self._key_id})


class TokenVerifier:
    """Checks tokens against the public keys of a JWKS file."""

    def __init__(self, jwks_file: Path) -> None:
        self._keys = {key.key_id: key.key for key in jwt.PyJWKSet.from_json(jwks_file.read_text()).keys}

    def verify(self, token: str) -> Subject:
        """The subject of a token. Raises `Unauthenticated` saying what is wrong with it."""
        try:
            key = self._keys[jwt.get_unverified_header(token).get("kid", "")]
            claims = jwt.decode(
                token, key, algorithms=[ALGORITHM], audience=AUDIENCE, options={"require": ["exp", "sub"]}
            )
        except KeyError:
            raise Unauthenticated("the token was signed by an unknown key", reason="UNKNOWN_KEY") from None
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("the token has expired: get a new one", reason="TOKEN_EXPIRED") from None
        except jwt.InvalidTokenError as error:
            raise Unauthenticated(f"not a valid token: {error}", reason="TOKEN_INVALID") from None
        kind, _, subject_id = str(claims["sub"]).partition(":")
        return Subject(kind, subject_id, claims)

    def verify_bearer(self, header: str | None) -> Subject:
        """The subject of an `Authorization: Bearer …` header."""
        scheme, _, token = (header or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("no token: send 'authorization: Bearer <token>'", reason="TOKEN_MISSING")
        return self.verify(token.strip())
