"""Child process of a bench: the parent writes words, one a line, and the child answers each with a line of JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

#: A child has so long to answer, wall seconds.
ANSWER_S = 120.0
_LEAVE_S = 10.0


def say(value: Mapping[str, Any]) -> None:
    """A line for the parent."""
    print(json.dumps(value), flush=True)


async def words() -> AsyncIterator[str]:
    """Iterate over the words of the parent, until it hangs up."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line.decode().strip()


async def left() -> None:
    """Returns when the parent hangs up."""
    async for _ in words():
        pass


class ChildProcess:
    """`async with Child("benchmarks.motion.riders", words, env) as riders:` it is told to leave at the end."""

    def __init__(self, module: str, words: tuple[str, ...], env: Mapping[str, str] | None = None) -> None:
        self._argv = (sys.executable, "-m", module, *words)
        self._env = env
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(*self._argv, stdin=pipe, stdout=pipe, env=self._env)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        process.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()

    async def next_line(self) -> dict[str, Any]:
        """The next line that it writes, decoded. Raises `ChildProcessError` when there is none in time."""
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(ANSWER_S):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise ChildProcessError(f"{self._argv[2]} said nothing for {ANSWER_S:.0f} s") from None
        if not line:
            raise ChildProcessError(f"{self._argv[2]} ended before its time")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def ask(self, word: str) -> dict[str, Any]:
        """Say a word and return the answer."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        return await self.next_line()
