"""The development key pair."""

from __future__ import annotations

import json
from pathlib import Path

import jwt

from deploy.stack.keys import ensure_keys


def test_what_the_private_key_signs_the_jwks_verifies(tmp_path: Path) -> None:
    """The two files belong together, by the rules of PyJWT."""
    private_key, jwks = ensure_keys(tmp_path)
    key = jwt.PyJWKSet.from_dict(json.loads(jwks.read_text())).keys[0]
    token = jwt.encode({"sub": "rider-1"}, private_key.read_text(), algorithm="EdDSA", headers={"kid": key.key_id})
    assert jwt.decode(token, key, algorithms=["EdDSA"]) == {"sub": "rider-1"}
    assert private_key.stat().st_mode & 0o077 == 0


def test_keys_are_made_once(tmp_path: Path) -> None:
    """Tokens of the last run stay valid in the next."""
    private_key, _ = ensure_keys(tmp_path)
    before = private_key.read_bytes()
    ensure_keys(tmp_path)
    assert private_key.read_bytes() == before
