"""`forno demo` as a newcomer runs it: real servers, every service, two simulated cities, a report that holds."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.verbs import forno, forno_here

_WITHIN_S = 170


async def forno_demo(*words: str) -> asyncio.subprocess.Process:
    """The command, in a process of its own."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "node.cli", "demo", *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


async def heard(process: asyncio.subprocess.Process, word: str) -> str:
    """All lines up to the one with a word in it."""
    said = ""
    assert process.stdout is not None
    while line := await process.stdout.readline():
        said += line.decode()
        if word in said:
            return said
    raise AssertionError(f"the demo ended without {word!r}:\n{said}")


def left_of(folder: Path) -> list[str]:
    """Command lines of processes that still speak of the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in words and process.name != str(os.getpid()):
            found.append(words)
    return found


@pytest.mark.timeout(180)
async def test_a_short_demo_holds_what_it_promises(tmp_path: Path) -> None:
    """Orders are placed and delivered, no acknowledged fix is lost, nothing is assigned twice, nothing is left; and the
    report adds up although a city moves when its new owner reads only the last part of the log again.
    """
    file, folder = tmp_path / "report.json", tmp_path / "stack"
    process = await forno_demo(
        "--seconds", "35", "--headless", "--report", str(file), "--riders", "40", "--dir", str(folder)
    )  # fmt: skip
    try:
        said = await asyncio.wait_for(heard(process, "   25 s  "), _WITHIN_S)
        await _move_a_city(folder)
        rest, _ = await asyncio.wait_for(process.communicate(), _WITHIN_S)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, said + rest.decode()
    report: dict[str, Any] = json.loads(file.read_text())
    orders, pings = report["orders"], report["pings"]
    assert report["broken"] == []
    assert orders["placed"] >= 15
    assert orders["delivered"] >= 1
    assert orders["double_assigned"] == 0
    assert pings["acked"] == pings["applied"] + pings["superseded"] > 500
    assert pings["lost"] == 0
    assert report["fix_to_screen_ms"]["samples"] > 0
    assert all(ages["samples"] > 0 for ages in report["fix_age_at_hops_ms"].values())
    assert {city for shard in report["shards"] for city in shard["cities"]} == {"la-serena", "coquimbo"}
    assert sorted(epoch for shard in report["shards"] for epoch in shard["epochs"]) == [1, 2]
    assert {"redis", "postgres", "kafka", "mongo"} <= report["versions"].keys()
    assert left_of(folder) == []


async def _move_a_city(folder: Path) -> None:
    """To the shard that does not have it; returns when that owns it."""
    code, printed, complaint = await forno("shards", "list", "--json", "--dir", str(folder))
    assert code == 0, complaint
    map_ = json.loads(printed)
    other = next(shard for shard in map_["shards"] if shard != map_["cities"]["la-serena"]["owner"])
    code, printed, complaint = await forno("shards", "move", "la-serena", other, "--dir", str(folder))
    assert code == 0, printed + complaint


@pytest.mark.timeout(180)
async def test_ctrl_c_ends_the_demo_in_good_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """While the city lives other commands find it without a flag; an interrupt stops it with exit code 0 and leaves no
    process, and they find it no more."""
    folder = tmp_path / "stack"
    process = await forno_demo("--riders", "10", "--dir", str(folder))
    try:
        said = await asyncio.wait_for(heard(process, "Live map:"), _WITHIN_S)
        await _another_terminal_finds_it(capsys)
        process.send_signal(signal.SIGINT)
        rest, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, said + rest.decode()
    assert "/#token=" in said
    assert left_of(folder) == []
    code, _, complaint = await forno("shards", "list")
    assert code == 1
    assert complaint.startswith("forno: no running stack: start one with")


async def _another_terminal_finds_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Every verb that talks to a stack, without a flag."""
    shards, cities, explained = await asyncio.gather(
        forno("shards", "list", "--json"), forno("cities", "list"), forno("explain", "nothing")
    )
    assert (shards[0], cities[0]) == (0, 0), (shards, cities)
    assert set(json.loads(shards[1])["shards"]) == {"shard-1", "shard-2"}
    assert cities[1]
    assert (explained[0], "no order 'nothing' (asked:" in explained[2]) == (1, True), explained
    code, out, err = await forno_here(capsys, "orders", "recent", "la-serena", "--json")
    assert (code, json.loads(out)["city"]) == (0, "la-serena"), err
    code, out, err = await forno_here(capsys, "token", "ops", "me")
    assert (code, out.count(".")) == (0, 2), err
    near = ("near", "--city", "la-serena", "--lat=-29.9", "--lng=-71.25", "--at=0")
    for words in (("db", "status"), ("trails", *near)):
        code, out, err = await forno_here(capsys, *words)
        assert code == 0, err
        assert out


@pytest.mark.timeout(180)
async def test_a_broken_instance_is_refused_in_one_line(tmp_path: Path) -> None:
    """Bad news is a clear line and exit code 1, before any server starts."""
    (tmp_path / "orders.txt").write_text("order\tx\n")
    process = await forno_demo("--instance", str(tmp_path))
    output, _ = await asyncio.wait_for(process.communicate(), _WITHIN_S)
    assert process.returncode == 1
    assert "forno demo: " in output.decode()
    assert "Traceback" not in output.decode()
