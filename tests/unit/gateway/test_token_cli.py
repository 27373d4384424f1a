"""`forno token`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gateway.token_cli import main
from node.tokens import TokenVerifier, create_keys


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, TokenVerifier]:
    """A key file and who believes it."""
    create_keys(tmp_path / "key.pem", tmp_path / "jwks.json")
    return tmp_path / "key.pem", TokenVerifier(tmp_path / "jwks.json")


@pytest.mark.parametrize(
    ("words", "subject", "city"),
    [
        (["rider", "17", "--city", "la-serena"], ("rider", "17"), "la-serena"),
        (["user", "ana"], ("user", "ana"), None),
        (["order", "0198", "--city", "coquimbo"], ("order", "0198"), "coquimbo"),
        (["ops", "me"], ("ops", "me"), None),
        (["rider", "0017", "--city", "la-serena"], ("rider", "17"), "la-serena"),
    ],
)
def test_a_token_says_who_holds_it(
    words: list[str],
    subject: tuple[str, str],
    city: str | None,
    keys: tuple[Path, TokenVerifier],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each kind of token verifies and carries its claims."""
    key, verifier = keys
    assert main([*words, "--key", str(key)]) == 0
    found = verifier.verify(capsys.readouterr().out.strip())
    assert (found.kind, found.id, found.claims.get("city")) == (*subject, city)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["rider", "17"], "needs a number and --city"),
        (["rider", "ana", "--city", "la-serena"], "needs a number and --city"),
        (["rider", "17", "--city", "nowhere"], "there is no city 'nowhere'"),
        (["order", "0198", "--city", "nowhere"], "there is no city 'nowhere'"),
        (["user", "ana", "--ttl", "-5"], "must be within 1..31536000, got '-5'"),
        (["user", "ana", "--ttl", "0"], "must be within"),
        (["user", "ana", "--ttl", "9" * 5000], "must be within"),
        (["user", "ana", "--ttl", "soon"], "must be a whole number within 1..31536000"),
        (["user", ""], "must be 1..128 printable characters"),
        (["user", " "], "must be 1..128 printable characters"),
        (["ops", "a\0b"], "must be 1..128 printable characters"),
        (["rider", "0", "--city", "la-serena"], "needs a number and --city"),
        (["rider", "\u0663", "--city", "la-serena"], "needs a number and --city"),
        (["rider", "18446744073709551616", "--city", "la-serena"], "needs a number and --city"),
        (["nobody", "1"], "invalid choice"),
        (["user"], "required"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_senseless_wish_is_refused(
    words: list[str], says: str, keys: tuple[Path, TokenVerifier], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and a word about what is wrong."""
    with pytest.raises(SystemExit) as stop:
        main([*words, "--key", str(keys[0])])
    assert stop.value.code == 2
    assert says in capsys.readouterr().err


def test_the_key_of_the_running_stack_is_found(
    keys: tuple[Path, TokenVerifier],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While a stack runs, `forno token user ana` needs no key."""
    monkeypatch.delenv("FORNO_JWT_PRIVATE_KEY_FILE", raising=False)
    manifest = {"pid": os.getpid(), "env": {"FORNO_JWT_PRIVATE_KEY_FILE": str(keys[0])}}
    (tmp_path / "stack.json").write_text(json.dumps(manifest))
    assert main(["user", "ana", "--dir", str(tmp_path)]) == 0
    assert keys[1].verify(capsys.readouterr().out.strip()).id == "ana"


def test_without_a_stack_and_a_key_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A word about the ways out, and no token."""
    monkeypatch.delenv("FORNO_JWT_PRIVATE_KEY_FILE", raising=False)
    with pytest.raises(SystemExit, match="FORNO_JWT_PRIVATE_KEY_FILE"):
        main(["user", "ana"])
