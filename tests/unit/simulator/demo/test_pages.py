"""Building the pages, or saying why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.demo import pages


def program(folder: Path, name: str, script: str) -> None:
    """An executable that does what a script says."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which programs are found."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


async def test_without_npm_there_is_no_page(tools: Path, tmp_path: Path) -> None:
    """The reason is said; nothing is tried."""
    assert await pages.build(tmp_path / "dist") == "node and npm are not installed"


async def test_a_failed_build_says_its_error(tools: Path, tmp_path: Path) -> None:
    """The line with the error, not the last brace of the output."""
    program(tools, "node", "exit 0")
    program(tools, "npm", 'echo "src/a.ts: error TS2304: no such name"; echo "}"; exit 2')
    said = await pages.build(tmp_path / "dist")
    assert said == "npm ci --no-audit --no-fund failed: src/a.ts: error TS2304: no such name"


async def test_a_built_page_is_no_complaint(tools: Path, tmp_path: Path) -> None:
    """npm leaves index.html where the gateway looks."""
    program(tools, "node", "exit 0")
    program(tools, "npm", f': > "{tmp_path}/dist/index.html"')
    (tmp_path / "dist").mkdir()
    assert await pages.build(tmp_path / "dist") is None
