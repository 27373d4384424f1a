"""Clocks, settings, tokens and the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.cli import VERBS, main
from node.clock import ManualClock, SystemClock
from node.errors import Unauthenticated
from node.settings import NodeSettings, load
from node.tokens import TokenSigner, TokenVerifier, create_keys


def test_domain_time_runs_on_a_line_through_its_anchor() -> None:
    """At the anchor both clocks show their anchors; an hour of domain time at 60x is a minute of wall time."""
    clock = SystemClock(speed=60, anchor_wall_ms=1_000_000, anchor_domain_ms=5_000_000)
    assert clock.wall_of_domain_ms(5_000_000) == 1_000_000
    assert clock.wall_of_domain_ms(5_000_000 + 3_600_000) == 1_060_000
    assert abs(clock.wall_of_domain_ms(clock.domain_ms()) - clock.wall_ms()) < 1000


def test_at_speed_one_the_clocks_are_one() -> None:
    """Without settings, domain time is wall time."""
    clock = SystemClock()
    assert abs(clock.domain_ms() - clock.wall_ms()) < 1000


def test_a_manual_clock_does_not_go_back() -> None:
    """Time moves on only when told, and only forwards."""
    clock = ManualClock(10)
    clock.advance(5)
    assert (clock.wall_ms(), clock.domain_ms()) == (15, 15)
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)


def test_a_wrong_setting_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The process ends at start and says which variable is wrong and what it held."""
    monkeypatch.setenv("FORNO_CLOCK_SPEED", "-3")
    with pytest.raises(SystemExit):
        load(NodeSettings)
    assert "FORNO_CLOCK_SPEED" in (said := capsys.readouterr().err)
    assert "-3" in said


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("postgresql://u:p@h:1", "postgresql://u:p@h:1/core"),
        ("postgresql://u:p@h:1/", "postgresql://u:p@h:1/core"),
        ("postgresql://u@h?sslmode=require", "postgresql://u@h/core?sslmode=require"),
    ],
)
def test_a_database_is_put_into_the_url(base: str, url: str) -> None:
    """The name goes before the query."""
    assert NodeSettings(postgres_url=base).core_url == url


def test_a_token_is_what_was_signed(tmp_path: Path) -> None:
    """A signed token gives its subject back; all others are refused with a reason."""
    create_keys(tmp_path / "key.pem", tmp_path / "jwks.json")
    create_keys(tmp_path / "other.pem", tmp_path / "other.json")
    signer, verifier = TokenSigner(tmp_path / "key.pem"), TokenVerifier(tmp_path / "jwks.json")
    subject = verifier.verify_bearer("Bearer " + signer.sign("rider", "17", ttl_s=60, city="roma"))
    assert (subject.kind, subject.id, subject.claims["city"]) == ("rider", "17", "roma")
    wrong = {
        TokenSigner(tmp_path / "other.pem").sign("rider", "17", ttl_s=60): "UNKNOWN_KEY",
        signer.sign("rider", "17", ttl_s=-60): "TOKEN_EXPIRED",
        signer.sign("rider", "17", ttl_s=60)[:-4]: "TOKEN_INVALID",
    }
    for token, reason in wrong.items():
        with pytest.raises(Unauthenticated) as refused:
            verifier.verify(token)
        assert refused.value.reason == reason
    with pytest.raises(Unauthenticated) as missing:
        verifier.verify_bearer(None)
    assert missing.value.reason == "TOKEN_MISSING"
    assert (tmp_path / "key.pem").stat().st_mode & 0o077 == 0


def test_an_unknown_verb_is_refused_with_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and every verb is named."""
    assert main(["dance"]) == 2
    said = capsys.readouterr().err
    assert all(verb in said for verb in VERBS)
