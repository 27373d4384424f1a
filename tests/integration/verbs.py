"""The `forno` command as somebody in another terminal gives it."""

from __future__ import annotations

import asyncio
import sys


async def forno(*words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a verb, run in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "node.cli", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()
