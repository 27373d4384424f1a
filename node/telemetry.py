"""Logs and metrics. Never a span or a log line per fix: hot paths only touch pre-bound counters.

Logs are JSON lines on standard error. Metrics are declared once in a package's `metrics.py` with `counter`, `gauge` and
`histogram`; each call wants a meaning. A name is `forno_<package>_<what>_<unit>` (payments, a service of its own within
`orders`, stand as a package); `total` is the unit of a counter.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

import orjson
import structlog
from prometheus_client import Counter, Gauge, Histogram, start_http_server
from structlog.tracebacks import ExceptionDictTransformer

#: Upper bounds in milliseconds, from a socket's write to a stalled disk.
LATENCY_MS = (1, 2, 5, 10, 20, 30, 40, 60, 80, 100, 150, 200, 250, 400, 600, 1000, 2500, 5000)


def configure_logging(service: str, level: str) -> structlog.stdlib.BoundLogger:
    """Sets up logging for the process and returns its logger, bound to the service's name."""
    number = getattr(logging, level.upper())
    logging.basicConfig(stream=sys.stderr, level=max(number, logging.WARNING), format="%(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            # No local variables: they hold passwords, and make a line of a hundred kilobytes.
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(serializer=lambda event, **_: orjson.dumps(event, default=str)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(file=sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(service=service)
    return logger


def counter(name: str, about: str, labels: Sequence[str] = ()) -> Counter:
    """A number that only grows."""
    return Counter(name, about, labels)


def gauge(name: str, about: str, labels: Sequence[str] = ()) -> Gauge:
    """A number of now."""
    return Gauge(name, about, labels)


def histogram(name: str, about: str, labels: Sequence[str] = (), buckets: Sequence[float] = LATENCY_MS) -> Histogram:
    """A distribution; by default of milliseconds."""
    return Histogram(name, about, labels, buckets=buckets)


def serve_metrics(address: str) -> None:
    """Answers Prometheus on host:port from a thread of its own; nothing when the address is empty."""
    if address:
        host, _, port = address.rpartition(":")
        start_http_server(int(port), addr=host or "127.0.0.1")
