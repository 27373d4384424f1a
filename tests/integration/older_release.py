"""A shard of an older release, as far as a test needs one: it takes only short texts."""

from __future__ import annotations

from dispatch.logs import value_checks
from dispatch.main import main

value_checks.MAX_TEXT_BYTES = 32

if __name__ == "__main__":
    raise SystemExit(main())
