"""The development signing key of a stack: an Ed25519 key pair, the public half as a JWKS file beside it."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def ensure_keys(folder: Path) -> tuple[Path, Path]:
    """The private key (PEM, PKCS 8, mode 0600) and the JWKS file of `folder`; made unless an earlier run left them."""
    private_file, jwks_file = folder / "jwt-private.pem", folder / "jwks.json"
    if not (private_file.exists() and jwks_file.exists()):
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        private_file.touch(mode=0o600)
        private_file.write_bytes(pem)
        jwks_file.write_text(json.dumps({"keys": [_jwk(key.public_key())]}, indent=2) + "\n")
    return private_file, jwks_file


def _jwk(key: Ed25519PublicKey) -> dict[str, str]:
    """RFC 8037; the key id is the RFC 7638 thumbprint."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    required = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(raw)}
    thumbprint = hashlib.sha256(json.dumps(required, separators=(",", ":"), sort_keys=True).encode()).digest()
    return {**required, "alg": "EdDSA", "use": "sig", "kid": _base64url(thumbprint)}


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
