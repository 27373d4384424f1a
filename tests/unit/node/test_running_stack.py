"""How a command finds the running stack: real processes register, live and die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from node.running import join, registered, setting

_STACK = """
import json, os, sys
from pathlib import Path
from node.running import registered
folder, given_in = Path(sys.argv[1]), sys.argv[2]
os.chdir(given_in)
with registered("forno demo", folder):
    manifest = {"pid": os.getpid(), "env": {"FORNO_ROUTER_ADDRESS": folder.name + ":1", "FORNO_CITIES": "roma"}}
    (folder / "stack.json").write_text(json.dumps(manifest))
    print("runs", flush=True)
    sys.stdin.read()
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a process that registers a stack of a name, its command given in some folder; ends it after the test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("FORNO_ROUTER_ADDRESS", raising=False)
    root = Path.cwd()
    with ExitStack() as running:

        def started(name: str, given_in: Path = tmp_path) -> subprocess.Popen[str]:
            folder = tmp_path / name
            folder.mkdir()
            process = running.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", _STACK, str(folder), str(given_in)],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root,
                )
            )  # fmt: skip
            assert process.stdout is not None
            assert process.stdout.readline() == "runs\n"
            return process

        yield started


def test_a_stack_is_found_from_anywhere_as_long_as_it_runs(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In another folder too; after its end in good order there is none, and nothing to be said of it."""
    process = start("one")
    monkeypatch.chdir("/")
    assert setting("router_address") == "one:1"
    process.communicate()
    with pytest.raises(SystemExit, match="no running stack: start one with `forno up` or `forno demo`"):
        setting("router_address")
    assert capsys.readouterr().err == ""


def test_a_killed_stack_is_noticed_and_said_once(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it left in the register is removed with a word; nobody is sent to where nothing listens."""
    process = start("one")
    process.send_signal(signal.SIGKILL)
    process.wait()
    with pytest.raises(SystemExit, match="no running stack"):
        setting("router_address")
    assert f"in {tmp_path / 'one'} (process {process.pid}) was killed" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="no running stack"):
        setting("router_address")
    assert capsys.readouterr().err == ""
    with pytest.raises(SystemExit, match=r"\(process \d+\) is gone: it was killed"):
        setting("router_address", folder=tmp_path / "one")


def test_of_several_stacks_one_must_be_chosen(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All are named; `--dir` chooses, and a stack whose command was given in this folder comes first."""
    (tmp_path / "here").mkdir()
    start("one")
    start("two")
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(SystemExit, match="2 stacks run; choose one with --dir") as refused:
        setting("router_address")
    assert all(f"--dir {tmp_path / name} " in str(refused.value) for name in ("one", "two"))
    assert setting("router_address", folder=tmp_path / "two") == "two:1"
    start("three", tmp_path / "here")
    assert setting("router_address") == "three:1"


def test_the_flag_wins_then_the_folder_then_the_environment(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is said nearest to the command counts."""
    start("one")
    monkeypatch.setenv("FORNO_ROUTER_ADDRESS", "env:1")
    assert setting("router_address") == "env:1"
    assert setting("router_address", folder=tmp_path / "one") == "one:1"
    assert setting("router_address", "flag:1", tmp_path / "one") == "flag:1"


def test_a_system_is_joined_whole_or_not_at_all(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of another system is not filled up from a stack that happens to run here."""
    start("one")
    monkeypatch.setenv("FORNO_ROUTER_ADDRESS", "elsewhere:1")
    monkeypatch.delenv("FORNO_CITIES", raising=False)
    join("router_address")
    assert "FORNO_CITIES" not in os.environ
    monkeypatch.delenv("FORNO_ROUTER_ADDRESS")
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", {**os.environ})
        join("router_address")
        assert (os.environ["FORNO_ROUTER_ADDRESS"], os.environ["FORNO_CITIES"]) == ("one:1", "roma")


def test_a_register_that_cannot_be_written_stops_no_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stack runs, and it says that other commands need its folder."""
    (tmp_path / "state").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with registered("forno up", tmp_path):
        assert f"other commands need --dir {tmp_path}" in capsys.readouterr().err
    (tmp_path / "stack.json").write_text(json.dumps({"pid": os.getpid()}))
    with pytest.raises(SystemExit, match="cannot be read"):
        setting("router_address", folder=tmp_path)
