"""Parameters of the engine from a JSON file of those that differ from the defaults."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from dispatch.engine.params import EngineParams
from dispatch.errors import InvalidParams

T = TypeVar("T")


def load_params(file: Path | None) -> EngineParams:
    """The defaults with the file's values put in, for a living city.

    Raises `InvalidParams` naming the key path, or `OSError`.
    """
    if file is None:
        return EngineParams()
    try:
        plain = json.loads(file.read_text())
    except ValueError as error:
        raise InvalidParams(f"{file}: {error}") from error
    params = changed(EngineParams(), plain, "params")
    if params.prepositioning.on:
        raise InvalidParams(
            "params.prepositioning.on: a living city has no message that sends a rider to wait elsewhere; only "
            "`forno replay` plays it"
        )
    return params


def changed(base: T, plain: Any, path: str) -> T:
    """A copy of a dataclass of parameters with the named fields changed, group by group."""
    if not isinstance(plain, dict):
        raise InvalidParams(f"{path} must be an object, got {plain!r}")
    known = {f.name for f in fields(base)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for name, value in plain.items():
        if name not in known:
            raise InvalidParams(f"{path}.{name} is not a parameter; there are {', '.join(sorted(known))}")
        old = getattr(base, name)
        if is_dataclass(old):
            values[name] = changed(old, value, f"{path}.{name}")
        elif isinstance(value, bool) is not isinstance(old, bool) or not isinstance(value, type(old) | int):
            raise InvalidParams(f"{path}.{name} must be {type(old).__name__}, got {value!r}")
        else:
            values[name] = type(old)(value)
    return replace(base, **values)  # type: ignore[type-var]
