"""Types of command-line arguments, and the parser that refuses a bad one in one line with exit code 2.

    parser = Parser(prog="forno orders")
    parser.add_argument("--hours", type=whole(1, 168), default=24)

Every verb and every `python -m` entry point uses these, so that a bound is written where the argument is declared and a
NaN, a negative count or a folder in place of a file never gets further.
"""

from __future__ import annotations

import argparse
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

from node.errors import Invalid

T = TypeVar("T")

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)

#: Identifiers of plans and moves: what Postgres can hold.
MAX_ID = 2**63 - 1
#: Riders' numbers are unsigned.
MAX_RIDER = 2**64 - 1
#: Digits of the largest number that any range holds.
_MAX_DIGITS = 20
#: Longest run or period that a command takes, seconds: a year.
MAX_SECONDS = 366 * 24 * 3600


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        """Ends the command with code 2."""
        self.exit(2, f"{self.prog}: {_one_line(message)} (`{self.prog} --help` tells more)\n")


def whole(low: int, high: int) -> Callable[[str], int]:
    """A whole number of a range, in ASCII digits."""

    def read(text: str) -> int:
        digits = re.fullmatch(r"([+-]?)0*([0-9]+)", text)
        if digits is None:
            raise argparse.ArgumentTypeError(f"must be a whole number within {low}..{high}, got {_shown(text)}")
        value = int(digits[1] + digits[2]) if len(digits[2]) <= _MAX_DIGITS else high + 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be within {low}..{high}, got {_shown(text)}")
        return value

    return read


def number(low: float, high: float) -> Callable[[str], float]:
    """A finite number of a range."""

    def read(text: str) -> float:
        value = float(text) if _NUMBER.fullmatch(text) else math.nan
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be a number within {low:g}..{high:g}, got {_shown(text)}")
        return value

    return read


def name(text: str) -> str:
    """A name or id as they are typed here: 1..128 characters that can be seen, no spaces."""
    if not re.fullmatch(r"[^\s]{1,128}", text) or not text.isprintable():
        raise argparse.ArgumentTypeError(f"must be 1..128 printable characters without spaces, got {_shown(text)}")
    return text


def text(longest: int) -> Callable[[str], str]:
    """Text of so many printable characters at most; may be empty."""

    def read(given: str) -> str:
        if len(given) > longest or not given.isprintable():
            raise argparse.ArgumentTypeError(f"must be at most {longest} printable characters, got {_shown(given)}")
        return given

    return read


def address(text: str) -> str:
    """A `host:port`."""
    host, _, port = text.rpartition(":")
    if not re.fullmatch(r"[\w.\-\[\]:%]+", host, re.ASCII) or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"must be host:port, got {_shown(text)}")
    return text


def file(text: str) -> Path:
    """A file that can be read."""
    path = _path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{_shown(text)} is a folder, give a file")
    if not path.exists():
        raise argparse.ArgumentTypeError(f"there is no file {_shown(text)}")
    if not os.access(path, os.R_OK):
        raise argparse.ArgumentTypeError(f"{_shown(text)} cannot be read")
    return path


def folder(text: str) -> Path:
    """A folder that can be read."""
    path = _path(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"there is no folder {_shown(text)}")
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{_shown(text)} is no folder")
    if not os.access(path, os.R_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"{_shown(text)} cannot be read")
    return path


def new_file(text: str) -> Path:
    """A file that can be written: said before the work rather than after it."""
    path = _path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{_shown(text)} is a folder, give a file")
    if not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {_shown(str(path.absolute().parent))}")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{_shown(text)} cannot be written")
    return path


def new_folder(text: str) -> Path:
    """A folder, which may be there or is made."""
    path = _path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{_shown(text)} is no folder")
    return path


def checked(check: Callable[[str], T]) -> Callable[[str], T]:
    """The type of what a check of the services accepts, which raises `Invalid`."""

    def read(text: str) -> T:
        try:
            return check(text)
        except Invalid as error:
            raise argparse.ArgumentTypeError(f"{str(error).partition(': ')[2]}, got {_shown(text)}") from error

    return read


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"must be a path, got {_shown(text)}")
    try:
        Path(text).exists()
    except OSError as error:  # a name too long for the file system
        raise argparse.ArgumentTypeError(f"{_shown(text)}: {error.strerror}") from error
    return Path(text)


def _shown(text: str) -> str:
    return repr(text) if len(text) <= 60 else f"{text[:60]!r}..."


def _one_line(message: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in message)
