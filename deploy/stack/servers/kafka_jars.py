"""Apache Kafka's jars, fetched once from Maven Central into a cache folder.

The cache is `~/.cache/forno/kafka-VERSION` (`FORNO_CACHE_DIR` moves it). Maven resolves what a broker needs at run
time, checks the checksums and copies the jars there; later starts need neither Maven nor a network.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from deploy.stack.errors import PartFailed, ServerMissing, StackError

KAFKA_VERSION = "4.3.1"

_FETCH_WITHIN_S = 900.0
_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
#: `kafka.Kafka` and `kafka.tools.StorageTool` log through SLF4J 1.7; the binding to log4j 2 comes with no dependency.
_POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>forno</groupId>
  <artifactId>kafka-runtime</artifactId>
  <version>{KAFKA_VERSION}</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>2.24.3</version>
    </dependency>
  </dependencies>
</project>
"""


def cache_folder() -> Path:
    """Cache folder of the jars of this version."""
    root = os.environ.get("FORNO_CACHE_DIR")
    base = Path(root) if root else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "forno"
    return base / f"kafka-{KAFKA_VERSION}"


async def ensure_jars(log: Path, progress: Callable[[str], None]) -> Path:
    """The folder with the jars; fetched when they are not there yet. Maven's output goes to `log`."""
    folder = cache_folder()
    if folder.is_dir():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise ServerMissing(f"Apache Kafka is not in {folder} yet, and Maven (mvn), which fetches it, is not installed")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StackError(f"{folder.parent} cannot be made ({error}); set FORNO_CACHE_DIR") from error
    # Beside its final place, so that the last step is one rename: nobody ever sees half of the jars.
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as scratch:
        (Path(scratch) / "pom.xml").write_text(_POM)
        await _run_maven(maven, Path(scratch), log, progress)
        jars = Path(scratch) / "jars"
        jars.chmod(0o755)
        try:
            jars.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another stack was faster
                raise
    return folder


async def _run_maven(maven: str, scratch: Path, log: Path, progress: Callable[[str], None]) -> None:
    """Copy the jars to `scratch/jars`; raises PartFailed."""
    argv = (maven, "--batch-mode", "--strict-checksums", _GOAL, "-DincludeScope=runtime")
    progress(f"fetching Apache Kafka {KAFKA_VERSION} from Maven Central")
    process = await asyncio.create_subprocess_exec(
        *argv,
        f"-DoutputDirectory={scratch / 'jars'}",
        cwd=scratch,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_FETCH_WITHIN_S):
            await _follow(process, log, progress)
            code = await process.wait()
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    if code != 0:
        tail = "\n".join(f"  {line}" for line in log.read_text(errors="replace").splitlines()[-25:])
        raise PartFailed("kafka", f"could not be fetched: Maven exited with {code}", log, tail)


async def _follow(process: asyncio.subprocess.Process, log: Path, progress: Callable[[str], None]) -> None:
    """Write Maven's output to the log and count the jars that came."""
    assert process.stdout is not None
    jars = 0
    with log.open("ab") as output:
        async for line in process.stdout:
            output.write(line)
            if b"Downloaded from" in line and b".jar " in line:
                jars += 1
                progress(f"fetching Apache Kafka {KAFKA_VERSION}: {jars} jars")
