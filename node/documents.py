"""Read JSON documents that people write: strictly, naming every fault at once with its path.

    parse_json(text)                a document, or `BadDocument`: duplicate keys, NaN, 1e400, NUL, ...
    validated(Model, document)      a pydantic model of it, or `BadDocument`: "center[1]: must be ..."

What Python takes and no other reader would (NaN, Infinity, numbers beyond double precision, lone surrogates, two values
of one key) is refused here, since Postgres, protobuf or arithmetic would fail over it later, far from its place.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from node.errors import Invalid

M = TypeVar("M", bound=BaseModel)

#: Arrays and objects within each other at most; a multi-polygon in a collection has eight.
MAX_DEPTH: Final = 32
#: Integers of Postgres and of protobuf end here.
MAX_INTEGER: Final = 2**63 - 1
#: Faults named in one message; the others are counted.
_NAMED: Final = 20
_SHOWN_CHARACTERS: Final = 60

Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Flaw:
    """One fault of a document: where (`features[0].geometry`; empty: the document as a whole), and what."""

    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}" if self.path else self.problem


class BadDocument(Invalid):
    """The document cannot be used; `flaws` are all its faults."""

    reason = "BAD_DOCUMENT"

    def __init__(self, source: str, flaws: Sequence[Flaw]) -> None:
        super().__init__(source, named(flaws))
        self.flaws = tuple(flaws)


def named(flaws: Sequence[Flaw]) -> str:
    """The faults in one line."""
    more = f"; and {len(flaws) - _NAMED} more" if len(flaws) > _NAMED else ""
    return "; ".join(map(str, flaws[:_NAMED])) + more


def path_text(path: Iterable[str | int]) -> str:
    """A path as people write it: `geometry.coordinates[0][1]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[A-Za-z_][\w-]*", part, re.ASCII):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part)}]"
    return text


def read_text(file: Path, max_bytes: int) -> str:
    """The text of a UTF-8 file without its byte order mark. Raises `BadDocument`, also if it cannot be read."""
    try:
        with file.open("rb") as opened:
            data = opened.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BadDocument(str(file), [Flaw("", f"cannot be read: {why}")]) from error
    if len(data) > max_bytes:
        raise BadDocument(str(file), [Flaw("", f"is larger than {max_bytes:,} bytes")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadDocument(str(file), [Flaw("", f"is no UTF-8 text: byte {error.start + 1} is wrong")]) from error


def parse_json(text: str, source: str = "document") -> Any:
    """The value of a JSON text. Raises `BadDocument`."""
    try:
        value = _DECODER.decode(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        flaw = Flaw("", f"is no JSON: {error.msg} at line {error.lineno}, column {error.colno}")
        raise BadDocument(source, [flaw]) from error
    except RecursionError as error:
        raise BadDocument(source, [Flaw("", f"is nested more than {MAX_DEPTH} deep")]) from error
    flaws = list(_flaws(value, ()))
    if flaws:
        raise BadDocument(source, flaws)
    return value


def validated(model: type[M], value: Any, source: str = "document") -> M:
    """The value as a pydantic model. Raises `BadDocument`."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise BadDocument(source, model_flaws(error)) from error


def model_flaws(error: ValidationError, tags: Collection[str] = ()) -> list[Flaw]:
    """The faults that pydantic found. `tags` are names of union members: in its paths, but not in documents."""
    return [
        Flaw(path_text(part for part in item["loc"] if part not in tags), _words(item))
        for item in error.errors(include_url=False)
    ]


def shown(value: Any) -> str:
    """A value for an error message, printable and cut where it is long."""
    text = ascii(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


#: What pydantic says in Python's words, by its error type.
_WORDS: Final = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "union_tag_not_found": "has no type",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
    "list_type": "must be an array",
    "tuple_type": "must be an array",
    "string_type": "must be a text",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
}


def _words(item: ErrorDetails) -> str:
    kind, given = item["type"], item["input"]
    if kind in ("missing", "extra_forbidden"):
        return _WORDS[kind]
    message = re.sub(r"^\w+ should", "must", item["msg"].removeprefix("Value error, "))
    if kind == "union_tag_invalid":
        return f"must be one of {item['ctx']['expected_tags']}, got {shown(item['ctx']['tag'])}"
    return f"{_WORDS.get(kind, message)}, got {shown(given)}"


class _Repeated(dict[str, Any]):
    """An object in which keys came twice."""

    def __init__(self, pairs: Sequence[tuple[str, Any]], keys: Sequence[str]) -> None:
        super().__init__(pairs)
        self.twice = keys


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    counts = Counter(name for name, _ in pairs)
    return _Repeated(pairs, sorted(name for name, count in counts.items() if count > 1))


def _integer(digits: str) -> int | float:
    """An integer; of absurd length as a float, since Python refuses to convert it."""
    return int(digits) if len(digits) <= 400 else float(digits)


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer)


def _flaws(value: Any, path: Path_) -> Iterator[Flaw]:
    if isinstance(value, float):
        if not math.isfinite(value):
            yield Flaw(path_text(path), "must be a finite number, within the range of double precision")
    elif isinstance(value, str):
        if problem := _text_problem(value):
            yield Flaw(path_text(path), problem)
    elif isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            yield Flaw(path_text(path), f"must be within +-{MAX_INTEGER}")
    elif isinstance(value, list | dict):
        yield from _flaws_within(value, path)


def _flaws_within(value: list[Any] | dict[str, Any], path: Path_) -> Iterator[Flaw]:
    if len(path) >= MAX_DEPTH:
        yield Flaw(path_text(path[:4]), f"is nested more than {MAX_DEPTH} deep")
        return
    if isinstance(value, _Repeated):
        yield from (Flaw(path_text((*path, name)), "is given twice") for name in value.twice)
    if isinstance(value, dict):
        yield from (Flaw(path_text((*path, key)), f"the name {why}") for key in value if (why := _text_problem(key)))
        children: Iterable[tuple[str | int, Any]] = value.items()
    else:
        children = enumerate(value)
    for key, child in children:
        yield from _flaws(child, (*path, key))


def _text_problem(text: str) -> str:
    if text.isascii() and "\0" not in text:
        return ""
    if "\0" in text:
        return "holds the character NUL"
    return "holds half of a surrogate pair" if any("\ud800" <= character <= "\udfff" for character in text) else ""
