"""Two recorded runs side by side: gathered in a process of its own, laid out for the width there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.tui import text as t

#: A row: its name, and a value for each run.
Row = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class SideBySide:
    """What `compare` says. `figures` and `settings`: rows; `verdicts` and `parity`: sentences."""

    names: tuple[str, ...]
    figures: tuple[Row, ...]
    settings: tuple[Row, ...]
    verdicts: tuple[str, ...]
    parity: tuple[str, ...]


def gather(folders: Sequence[Path]) -> SideBySide:
    """Diagnose recorded runs and compare their vectors. Loads much; for a process of its own.

    Raises UsageError when a folder holds no recording.
    """
    from workbench.report.compare import compared, differing, facts_table, parity_line
    from workbench.report.parity import parity
    from workbench.tui.known import facts_of

    runs = [compared(folder) for folder in folders]
    places = [(run.run, Path(run.collection)) for run in runs]
    facts = [facts_of(folder) for folder in folders]
    return SideBySide(
        tuple(f"{fact.title if fact else '?'}, {run.run}" for fact, run in zip(facts, runs, strict=True)),
        tuple((name, tuple(values)) for name, values in facts_table(runs)),
        tuple((key, tuple(values)) for key, values in differing(runs)),
        tuple(f"{run.run}: {run.verdict.headline}" for run in runs),
        tuple(parity_line(parity(places[0], place)) for place in places[1:]),
    )


def lines(found: SideBySide, width: int) -> list[str]:
    """The comparison in lines of at most `width` cells; a value that is too long goes on below itself."""
    rows = [("", found.names), *found.figures]
    said = _columns(rows, width)
    if found.settings:
        said += ["", "Settings that differ", *_columns(found.settings, width)]
    for sentence in (*found.verdicts, *found.parity):
        said += ["", *t.wrap(sentence, width)]
    return said


def _columns(rows: Sequence[Row], width: int) -> list[str]:
    first = min(max(len(name) for name, _ in rows), width // 3) + 2
    each = (width - first) // max(1, len(rows[0][1])) - 1
    said = []
    for name, values in rows:
        cells = [t.wrap(name, first - 1), *(t.wrap(value, each) for value in values)]
        for number in range(max(map(len, cells))):
            parts = [cell[number] if number < len(cell) else "" for cell in cells]
            line = t.fit(parts[0], first) + " ".join(t.fit(part, each) for part in parts[1:])
            said.append(line.rstrip())
    return said
