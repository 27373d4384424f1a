"""The web pages, built once by npm."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

_NPM_WITHIN_S = 300.0


async def build(dist: Path) -> str | None:
    """Builds the pages into `dist`; why it could not be done, or None."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return "node and npm are not installed"
    for words in (("ci", "--no-audit", "--no-fund"), ("run", "build")):
        code, output = await _run(npm, *words, cwd=dist.parent)
        if code:
            return f"npm {' '.join(words)} failed: {_reason(output)}"
    return None if (dist / "index.html").is_file() else "npm run build left no page"


async def _run(*argv: str, cwd: Path) -> tuple[int, bytes]:
    process = await asyncio.create_subprocess_exec(
        *argv, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(_NPM_WITHIN_S):
            output, _ = await process.communicate()
    except TimeoutError:
        return 1, f"it took longer than {_NPM_WITHIN_S:.0f} s".encode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, output


def _reason(output: bytes) -> str:
    """The first line that speaks of an error, else the last one that says anything."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines[-1:] or ["no output"])[0][:200]
