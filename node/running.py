"""Find the running stack: commands take its settings by flag, by `--dir`, from the environment, or from the register.

`forno up` and `forno demo` register themselves: one file a stack in `$XDG_STATE_HOME/forno/running` (by default
`~/.local/state/forno/running`), locked as long as its process lives. The lock ends with the process however it dies,
so a file that nobody locks is what a killed stack left behind.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, NoReturn

from node import arguments


@dataclass(frozen=True, slots=True)
class Registered:
    """A stack as it registered itself."""

    verb: str
    pid: int
    #: The folder of the stack, and the one in which its command was given.
    folder: str
    given_in: str


def of_a_stack() -> arguments.Parser:
    """The parent parser of every verb that talks to a running stack."""
    parser = arguments.Parser(add_help=False)
    parser.add_argument(
        "--dir", type=arguments.new_folder, help="folder of the stack to talk to (default: the one that runs)"
    )
    return parser


def setting(name: str, given: str | None = None, folder: Path | None = None) -> str:
    """The value of `FORNO_<NAME>`: as given, of the stack in `folder`, of the environment, or of the running stack.

    Ends the command with what to do when there is none.
    """
    variable = f"FORNO_{name.upper()}"
    if given:
        return given
    if folder is None and variable in os.environ:
        return os.environ[variable]
    found = stack_settings(folder, or_set=variable)
    if variable not in found:
        _stop(f"the running stack has no {variable}: set it")
    return found[variable]


def join(needed: str, given: str | None = None, folder: Path | None = None) -> None:
    """Take all settings of the stack into the environment, unless that or `given` names `FORNO_<NEEDED>` already.

    Never mixes the two: what the environment leaves out of another system is not filled in from a stack here.
    """
    variable = f"FORNO_{needed.upper()}"
    if given:
        os.environ[variable] = given
    elif folder is not None or variable not in os.environ:
        os.environ.update(stack_settings(folder, or_set=variable))


def stack_settings(folder: Path | None, *, or_set: str) -> Mapping[str, str]:
    """The settings that the stack in `folder` gives its services; by default of the only one that runs.

    Of several, those whose command was given in the present folder come first. Ends the command when there is none,
    or more than one to choose from; `or_set` is the variable that would do as well.
    """
    where = folder or Path(_only(_living(), or_set).folder)
    try:
        manifest = json.loads((where / "stack.json").read_text())
        pid, env = int(manifest["pid"]), dict(manifest["env"])
    except FileNotFoundError:
        _stop(f"no stack runs in {where}, or it is still starting: `forno up --dir {where}` starts one")
    except (OSError, KeyError, ValueError) as error:
        _stop(f"{where / 'stack.json'} cannot be read: {error!r}")
    if not is_alive(pid):
        _stop(f"the stack in {where} (process {pid}) is gone: it was killed; `forno up --dir {where}` starts it again")
    return env


@contextmanager
def registered(verb: str, folder: Path) -> Iterator[None]:
    """Let other commands find the stack of this process inside; without a register they need `--dir`, which is said."""
    this = Registered(verb, os.getpid(), str(folder.absolute()), str(Path.cwd()))
    try:
        register = _register()
        register.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = register / f"{this.pid}.json"
        file = path.with_suffix(".new").open("w")
        # Locked before it can be seen: a file without a lock belongs to nobody.
        fcntl.flock(file, fcntl.LOCK_EX)
        json.dump(asdict(this), file)
        file.flush()
        path.with_suffix(".new").replace(path)
    except (OSError, RuntimeError) as error:
        print(f"{verb}: not registered ({error}): other commands need --dir {this.folder}", file=sys.stderr)
        yield
        return
    with file:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def actor() -> str:
    """Who runs this command: the user's name, or the uid where the system knows no name (`docker run --user 54321`)."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):
        name = ""
    return name if name and name.isprintable() else f"uid {os.getuid()}"


def is_alive(pid: int) -> bool:
    """Whether a process of this number exists, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _register() -> Path:
    """The folder of the register. Raises `RuntimeError` for a user without a home."""
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "forno" / "running"


def _living() -> list[Registered]:
    """The registered stacks that run. What a killed one left in the register is removed, and that is said."""
    living = []
    with suppress(RuntimeError):
        for path in sorted(_register().glob("*.json")):
            # What another version of Forno wrote may have other fields: it is left alone.
            with suppress(FileNotFoundError, ValueError, TypeError), path.open() as file:
                stack = Registered(**json.load(file))
                if not _is_abandoned(file, path):
                    living.append(stack)
                    continue
                path.unlink()
                print(
                    f"forno: the stack of `{stack.verb}` in {stack.folder} (process {stack.pid}) was killed; its data "
                    "and logs are still there",
                    file=sys.stderr,
                )
    return living


def _is_abandoned(file: IO[str], path: Path) -> bool:
    """Whether nobody holds the lock of a registration. Raises `FileNotFoundError` when its stack ended just now."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    path.stat()
    return True


def _only(living: list[Registered], or_set: str) -> Registered:
    here = str(Path.cwd())
    found = [stack for stack in living if stack.given_in == here] or living
    if not found:
        _stop(f"no running stack: start one with `forno up` or `forno demo`, or set {or_set}")
    if len(found) > 1:
        stacks = "\n".join(f"  --dir {stack.folder}   `{stack.verb}`, process {stack.pid}" for stack in found)
        _stop(f"{len(found)} stacks run; choose one with --dir:\n{stacks}")
    return found[0]


def _stop(why: str) -> NoReturn:
    raise SystemExit(f"forno: {why}")
