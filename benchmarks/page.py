"""`forno bench page REPORT… [--out docs/figures.md]`: the figures of recorded runs as one page, none typed by hand."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.dispatch import table
from benchmarks.record import plain, report_of
from node import arguments
from node.documents import BadDocument

HEAD = """# Figures

Written by `forno bench page` from the reports of recorded runs (`forno bench WHAT --json FILE`), each with its machine
and commit. A target that was missed stands here as missed. What is measured:
[benchmarks/README.md](../benchmarks/README.md).
"""


def main(argv: list[str]) -> int:
    """0 when the page was written, 2 when a report cannot be read."""
    parser = arguments.Parser(prog="forno bench page", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "reports", type=arguments.file, nargs="+", metavar="REPORT", help="JSON of a `forno bench`, NAME.json"
    )
    parser.add_argument(
        "--out", type=arguments.new_file, metavar="FILE", help="write the page here instead of printing it"
    )
    words = parser.parse_args(argv)
    try:
        text = "\n".join([HEAD, *map(_section_of, words.reports)])
    except BadDocument as error:
        print(f"forno bench page: {error}", file=sys.stderr)
        return 2
    if words.out is None:
        print(text, end="")
    else:
        words.out.write_text(text, encoding="utf-8")
    return 0


def page(reports: Iterable[tuple[str, dict[str, Any]]]) -> str:
    """The page of some reports, by the names of their benches."""
    return "\n".join([HEAD, *(_section(name, report) for name, report in reports)])


def _section_of(file: Path) -> str:
    with report_of(file) as report:
        return _section(file.stem, report)


def _section(name: str, report: dict[str, Any]) -> str:
    machine, figures = report["machine"], report["summary"]
    rows = {key: row for key, row in figures.items() if isinstance(row, dict) and "target" in row}
    if not rows:
        raise ValueError(f"{name} has no figure with a target: a report of an earlier version")
    plain_values = {key: value for key, value in figures.items() if isinstance(value, int | float)}
    lines = [
        f"## forno bench {name}",
        "",
        f"Commit `{report['commit'][:10]}`, {machine['cpus']} CPUs ({machine['machine']}), Python {machine['python']}.",
        "",
        "| figure | measured | target | | peer in the same run | ratio |",
        "|---|---:|---:|---|---:|---:|",
        *(_row(key, row) for key, row in rows.items()),
        "",
    ]
    if "published" in report:
        lines += [*table.markdown(report["published"]), ""]
    if "with_prepositioning" in figures:
        lines += [*table.markdown_of_waiting(figures, figures["with_prepositioning"]), ""]
    if plain_values:
        lines += ["Also: " + ", ".join(f"{key} {plain(value)}" for key, value in plain_values.items()) + ".", ""]
    return "\n".join(lines)


def _row(name: str, row: dict[str, Any]) -> str:
    peer = "" if row["peer"] is None else f"{row['peer_name']} {plain(row['peer'])}".strip()
    ratio = "" if row["ratio"] is None else plain(row["ratio"])
    verdict = {True: "met", False: "**missed**", None: ""}[row["met"]]
    return f"| {name} | {plain(row['value'])} {row['unit']} | {row['target']} | {verdict} | {peer} | {ratio} |"
