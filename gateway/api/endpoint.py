"""An endpoint of the public API, and the request it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from gateway.errors import Forbidden
from node.errors import Invalid
from node.tokens import Subject

B = TypeVar("B", bound=BaseModel)

#: No request body may be larger, bytes.
MAX_BODY = 64 * 1024


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose caller is known (`subject` is None where the endpoint wants no token) and whose body is read."""

    request: Request
    subject: Subject | None
    body: bytes

    def parsed(self, kind: type[B]) -> B:
        """The body. Raises `Invalid` naming the first field at fault."""
        try:
            return kind.model_validate_json(self.body or b"{}")
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise Invalid(field_path(first["loc"]), first["msg"]) from None

    @property
    def user_id(self) -> str:
        """The user who calls. Raises `Forbidden` for any other kind of token."""
        if self.subject is None or self.subject.kind != "user":
            raise Forbidden("this needs the token of a user")
        return self.subject.id

    def number(self, name: str, default: int) -> int:
        """A number of the query string. Raises `Invalid`."""
        text = self.request.query_params.get(name, str(default))
        try:
            return int(text)
        except ValueError:
            raise Invalid(name, f"not a number: {text!r}") from None


def field_path(loc: tuple[int | str, ...]) -> str:
    """`("items", 0, "quantity")` -> `items[0].quantity`; `body` for the whole."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return path.removeprefix(".") or "body"


async def read_body(request: Request) -> bytes:
    """The body. Raises `Invalid` when it is larger than `MAX_BODY`."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY:
            raise Invalid("body", f"larger than {MAX_BODY} bytes", reason="BODY_TOO_LARGE")
        parts.append(part)
    return b"".join(parts)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter for the OpenAPI document."""

    name: str
    where: str
    about: str
    required: bool = False
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "string"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A row of the public API: the routes and `/openapi.json` are both made from it."""

    method: str
    path: str
    about: str
    handle: Callable[[Call], Awaitable[BaseModel]]
    answer: type[BaseModel]
    status: int = 200
    body: type[BaseModel] | None = None
    #: Whether a bearer token is wanted.
    token: bool = True
    parameters: tuple[Parameter, ...] = ()
    #: Cache-Control of a good answer, which then carries an ETag as well; empty: not to be kept by anyone.
    cache: str = ""
    errors: tuple[int, ...] = (400, 401, 429, 503)
