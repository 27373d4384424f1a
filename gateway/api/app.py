"""The HTTP application: authenticate, limit and measure every request, then let its endpoint answer."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence

import grpc.aio
import structlog
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway import metrics
from gateway.api import error_answers
from gateway.api.endpoint import Call, Endpoint, read_body
from gateway.errors import TooManyRequests
from gateway.ports import Limits
from node.clock import Clock
from node.errors import FornoError
from node.tokens import Subject, TokenVerifier

#: Not limited: the supervisor asks often, and must be answered.
_FREE = ("/healthz",)


class HttpApi:
    """Authenticates, limits, measures; then lets an endpoint answer."""

    def __init__(
        self, verifier: TokenVerifier, limits: Limits, clock: Clock, log: structlog.stdlib.BoundLogger
    ) -> None:
        self._verifier = verifier
        self._limits = limits
        self._clock = clock
        self._log = log

    def app(self, endpoints: Sequence[Endpoint], pages: Sequence[BaseRoute]) -> Starlette:
        """The application."""
        routes: list[BaseRoute] = [Route(row.path, self._guarded(row), methods=[row.method]) for row in endpoints]
        return Starlette(
            routes=[*routes, *pages],
            exception_handlers={HTTPException: _http_error, Exception: _unplanned},
        )

    def _guarded(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            began_s = self._clock.monotonic_s()
            response = await self._answer(endpoint, request)
            took_ms = (self._clock.monotonic_s() - began_s) * 1000
            metrics.HTTP_MS.labels(endpoint.path, response.status_code).observe(took_ms)
            return response

        return answer

    async def _answer(self, endpoint: Endpoint, request: Request) -> Response:
        try:
            subject = self._subject(endpoint, request)
            await self._limit(endpoint, request, subject)
            body = await read_body(request) if endpoint.body is not None else b""
            return _good(endpoint, request, await endpoint.handle(Call(request, subject, body)))
        except FornoError as error:
            return error_answers.of_error(error)
        except grpc.aio.AioRpcError as error:
            response = error_answers.of_call(error)
            if response.status_code >= 500:
                self._log.warning("a service failed", path=endpoint.path, code=error.code().name, why=error.details())
            return response

    def _subject(self, endpoint: Endpoint, request: Request) -> Subject | None:
        if not endpoint.token:
            return None
        return self._verifier.verify_bearer(request.headers.get("authorization"))

    async def _limit(self, endpoint: Endpoint, request: Request, subject: Subject | None) -> None:
        if endpoint.path in _FREE:
            return
        address = request.client.host if request.client else "unknown"
        wait_s = await self._limits.take(f"{subject.kind}:{subject.id}" if subject else f"ip:{address}")
        if wait_s > 0:
            metrics.LIMITED.inc()
            raise TooManyRequests(wait_s)


def _good(endpoint: Endpoint, request: Request, answer: BaseModel) -> Response:
    body = answer.model_dump_json().encode()
    if not endpoint.cache:
        return Response(body, endpoint.status, {"cache-control": "no-store"}, "application/json")
    return cacheable(request, body, "application/json", endpoint.cache)


def cacheable(request: Request, body: bytes, media_type: str, cache_control: str) -> Response:
    """A body with an ETag, or 304 when the client has it."""
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"etag": etag, "cache-control": cache_control}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, 200, headers, media_type)


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    reason = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(status, "HTTP_ERROR")
    return error_answers.fault(status, reason, f"{request.method} {request.url.path}: nothing here answers that")


async def _unplanned(request: Request, error: Exception) -> Response:
    return error_answers.fault(500, "INTERNAL", "something went wrong on our side; it was logged")
