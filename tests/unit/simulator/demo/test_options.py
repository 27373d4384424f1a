"""The command line of `forno demo`."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.stack.errors import StackError
from simulator.demo.options import INSTANCE_SPEED, SPEED, parse


def test_defaults_suit_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without words: until Ctrl-C, at 30x, on the embedded broker."""
    monkeypatch.delenv("FORNO_KAFKA", raising=False)
    options = parse([])
    assert (options.seconds, options.headless, options.speed, options.kafka) == (None, False, SPEED, "embedded")


def test_the_broker_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """FORNO_KAFKA chooses it, --kafka overrules, nonsense is refused."""
    monkeypatch.setenv("FORNO_KAFKA", "apache")
    assert parse([]).kafka == "apache"
    assert parse(["--kafka", "embedded"]).kafka == "embedded"
    monkeypatch.setenv("FORNO_KAFKA", "pigeon")
    with pytest.raises(StackError, match="pigeon"):
        parse([])


def test_an_instance_runs_faster(tmp_path: Path) -> None:
    """An instance is played at 60x unless told otherwise."""
    (tmp_path / "orders.txt").touch()
    assert parse(["--instance", str(tmp_path)]).speed == INSTANCE_SPEED
    assert parse(["--instance", str(tmp_path), "--speed", "10"]).speed == 10


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--headless"], "--headless needs --seconds"),
        (["--seconds", "0"], "within 1..86400"),
        (["--speed", "1000"], "within 1..60"),
        (["--riders", "1"], "within 2..2000"),
        (["--riders", "many"], "must be a whole number within 2..2000"),
        (["--kafka", "pigeon"], "invalid choice"),
        (["--instance", "/nowhere"], "there is no folder '/nowhere'"),
        (["--instance", "/"], "not an MDRPLib instance"),
        (["--seconds", "nan"], "must be a number within 1..86400"),
        (["--seed", "-1"], "must be within 0.."),
    ],
)
def test_bad_words_are_refused(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and a message that says what is wrong."""
    with pytest.raises(SystemExit) as left:
        parse(words)
    assert left.value.code == 2
    assert says in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_refused_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing folder and a folder in the file's place; a file that is there already is written anew."""
    for report, says in ((tmp_path / "missing" / "r.json", "there is no folder"), (tmp_path, "is a folder")):
        with pytest.raises(SystemExit):
            parse(["--report", str(report)])
        assert says in capsys.readouterr().err
    (tmp_path / "r.json").write_text("of yesterday")
    assert parse(["--report", str(tmp_path / "r.json")]).report == tmp_path / "r.json"


def test_the_folder_of_a_run_is_new(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder with an earlier run in it and a file are refused; a missing and an empty folder will do."""
    assert parse(["--dir", str(tmp_path)]).folder == tmp_path
    assert parse(["--dir", str(tmp_path / "missing")]).folder == tmp_path / "missing"
    (tmp_path / "stack.json").touch()
    for folder, says in ((tmp_path, "give a new folder"), (tmp_path / "stack.json", "is no folder")):
        with pytest.raises(SystemExit):
            parse(["--dir", str(folder)])
        assert says in capsys.readouterr().err
