"""Generates the committed stubs: `python -m proto.generate`, or `--check` to fail when they are stale.

protoc runs from the root with `-I.`, so the stubs import each other as `proto.….v1.…` and nothing is rewritten.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from importlib import resources
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def sources() -> list[str]:
    """Every `.proto` file, relative to the root, sorted."""
    return sorted(str(p.relative_to(ROOT)) for p in (ROOT / "proto").rglob("*.proto"))


def generate(out: Path) -> None:
    """Writes all stubs below `out`."""
    from grpc_tools import protoc

    include = str(resources.files("grpc_tools") / "_proto")
    files = sources()
    services = [name for name in files if "\nservice " in (ROOT / name).read_text()]
    for kinds, names in ((("python", "mypy"), files), (("grpc_python", "mypy_grpc"), services)):
        outs = [f"--{kind}_out={'quiet:' if 'mypy' in kind else ''}{out}" for kind in kinds]
        code = protoc.main(["protoc", f"-I{ROOT}", f"-I{include}", *outs, *names])
        if code:
            raise SystemExit(code)


def stale(fresh: Path) -> list[str]:
    """Stubs below `fresh` that differ from the committed ones, and committed ones that nothing makes any more."""
    made = {str(p.relative_to(fresh)) for p in fresh.rglob("*_pb2*.py*")}
    kept = {str(p.relative_to(ROOT)) for p in (ROOT / "proto").rglob("*_pb2*.py*") if "__pycache__" not in p.parts}
    same = {name for name in made & kept if (fresh / name).read_bytes() == (ROOT / name).read_bytes()}
    return sorted((made | kept) - same)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m proto.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the committed stubs, write nothing")
    if not parser.parse_args().check:
        generate(ROOT)
        return 0
    with tempfile.TemporaryDirectory() as tmp:
        generate(Path(tmp))
        old = stale(Path(tmp))
    for name in old:
        print(f"stale: {name} (run python -m proto.generate)", file=sys.stderr)
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
