"""Parameters of the engine from a JSON file of those that differ from the defaults."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from dispatch.engine.params import EngineParams
from dispatch.errors import InvalidParams
from node.documents import BadDocument, named, parse_json, read_text, shown

T = TypeVar("T")

_MAX_BYTES: Final = 1 << 20


def load_params(file: Path | None) -> EngineParams:
    """The defaults with the file's values put in, for a living city.

    Raises `InvalidParams` naming every key path at fault.
    """
    if file is None:
        return EngineParams()
    params = changed(EngineParams(), file)
    if params.prepositioning.on:
        raise InvalidParams(
            "params.prepositioning.on: a living city has no message that sends a rider to wait elsewhere; only "
            "`forno replay` plays it"
        )
    return params


def changed(base: EngineParams, file: Path) -> EngineParams:
    """The parameters with those of a file put in. Raises `InvalidParams` naming every key path at fault."""
    flaws: list[str] = []
    try:
        plain = parse_json(read_text(file, _MAX_BYTES))
        params = _group(base, plain, "params", flaws)
    except BadDocument as error:
        raise InvalidParams(f"{file}: {named(error.flaws)}") from error
    if flaws:
        raise InvalidParams(f"{file}: {'; '.join(flaws)}")
    return params


def _group(base: T, plain: Any, path: str, flaws: list[str]) -> T:
    """A copy of a dataclass of parameters with the named fields changed; as it was where it has flaws."""
    if not isinstance(plain, dict):
        flaws.append(f"{path} must be an object, got {shown(plain)}")
        return base
    known = {f.name for f in fields(base)}  # type: ignore[arg-type]
    before, values = len(flaws), {}
    for name, value in plain.items():
        if name not in known:
            flaws.append(f"{path}.{name} is not a parameter; there are {', '.join(sorted(known))}")
            continue
        old = getattr(base, name)
        if is_dataclass(old):
            values[name] = _group(old, value, f"{path}.{name}", flaws)
        elif isinstance(value, bool) is not isinstance(old, bool) or not isinstance(value, type(old) | int):
            flaws.append(f"{path}.{name} must be {type(old).__name__}, got {shown(value)}")
        else:
            values[name] = type(old)(value)
    if len(flaws) > before:
        return base
    try:
        return replace(base, **values)  # type: ignore[type-var]
    except InvalidParams as error:
        flaws.append(f"{path}: {error}")
        return base
