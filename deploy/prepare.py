"""Once before the services start: topics from `proto.topics`, and signing keys if there are none.

    python -m deploy.prepare

Reads FORNO_KAFKA_URL, FORNO_JWT_PRIVATE_KEY_FILE and FORNO_JWT_JWKS_FILE. Safe to run again.
"""

from __future__ import annotations

import asyncio
import sys

from deploy.stack.servers.kafka import ensure_topics
from node.settings import NodeSettings, load
from node.tokens import create_keys


def main() -> int:
    settings = load(NodeSettings)
    private, public = settings.jwt_private_key_file, settings.jwt_jwks_file
    if private is None or public is None:
        print("set FORNO_JWT_PRIVATE_KEY_FILE and FORNO_JWT_JWKS_FILE", file=sys.stderr)
        return 2
    asyncio.run(ensure_topics(settings.kafka_url))
    if not private.exists():
        create_keys(private, public)
        # The services run as another user than this one and only read.
        private.chmod(0o644)
    print("topics and keys are ready")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
