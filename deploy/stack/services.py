"""The Forno services that `forno up` runs, in the order of the table."""

from __future__ import annotations

from deploy.stack.service import Service

SERVICES: tuple[Service, ...] = ()
