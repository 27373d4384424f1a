"""`forno log dump | poison`: a recorded stretch of a city, and messages that were set aside."""

from __future__ import annotations


def main(argv: list[str]) -> int:
    """Runs the part that the first word names."""
    if argv[:1] == ["poison"]:
        from deploy.set_aside.cli import main as poison

        return poison(argv[1:])
    from dispatch.recording.cli import main as recording

    return recording(argv)
