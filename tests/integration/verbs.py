"""The `forno` command as somebody in another terminal gives it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from types import MappingProxyType
from unittest.mock import patch

import pytest

from node.cli import main


async def forno(*words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a verb, run in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "node.cli", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def forno_here(
    capsys: pytest.CaptureFixture[str], *words: str, env: Mapping[str, str] = MappingProxyType({})
) -> tuple[int, str, str]:
    """The same of a verb without gRPC, run in this process: it starts at once. What it takes into the environment is
    forgotten. (gRPC for asyncio serves one event loop a process, and the tests' own is there.)"""
    capsys.readouterr()
    with patch.dict(os.environ, env):
        code = await asyncio.to_thread(main, list(words))
    printed, said = capsys.readouterr()
    return code, printed, said
