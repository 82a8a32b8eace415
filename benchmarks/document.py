"""The tables in docs/performance.md, between markers that name the script they come from.

<!-- bench: step -->
…
<!-- /bench -->
"""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from tables import Record, markdown

MARKED = re.compile(r"(<!-- bench: (?P<place>[\w-]+) -->\n).*?(<!-- /bench -->)", re.DOTALL)


def write_docs(path: Path, records: Sequence[Record]) -> None:
    """Put the findings of each script between its markers; what has no findings stays as it is.

    What a machine with a GPU found goes to `<script>-gpu` where there is such a place. Raises SystemExit for findings
    without a place.
    """
    text = path.read_text(encoding="utf-8")
    places = {match["place"] for match in MARKED.finditer(text)}
    found = {place_of(record, places): record for record in records}
    absent = sorted(set(found) - places)
    if absent:
        raise SystemExit(f"{path}: has no place for {', '.join(absent)}; add `<!-- bench: {absent[0]} -->` and its end")

    def replaced(match: re.Match[str]) -> str:
        record = found.get(match["place"])
        return match[0] if record is None else f"{match[1]}{section(record)}\n{match[3]}"

    path.write_text(MARKED.sub(replaced, text), encoding="utf-8")


def place_of(record: Record, places: Collection[str]) -> str:
    """The name of the markers."""
    on_gpu = f"{record.script}-gpu"
    return on_gpu if record.machine.gpus and on_gpu in places else record.script


def section(record: Record) -> str:
    """All that one script found, after where and when."""
    quick = "with --quick, which gives no true figures, " if record.quick else ""
    said = f"Measured {quick}on {record.day}, {record.rounds} rounds: {record.machine}; load {record.machine.load:.1f}"
    said += f", {record.stolen:.0%} of the CPU time stolen by the host." if record.stolen else "."
    return "\n\n".join([said, *(markdown(part) for part in record.parts)]) + "\n"
