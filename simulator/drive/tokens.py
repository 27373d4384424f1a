"""Development tokens for the simulated people. Signing takes a moment: each token is kept until half spent."""

from __future__ import annotations

import time

from node.tokens import TokenSigner

_TTL_S = 3600


class Tokens:
    """A token for whoever asks."""

    def __init__(self, signer: TokenSigner) -> None:
        self._signer = signer
        self._kept: dict[tuple[str, str], tuple[float, str]] = {}

    def get(self, kind: str, subject_id: str, **claims: str) -> str:
        """A token of `kind:subject_id` that lives for half an hour at least."""
        until_s, token = self._kept.get((kind, subject_id), (0.0, ""))
        if until_s < time.monotonic():
            token = self._signer.sign(kind, subject_id, ttl_s=_TTL_S, **claims)
            self._kept[kind, subject_id] = (time.monotonic() + _TTL_S / 2, token)
        return token
