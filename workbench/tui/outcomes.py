"""From what a command prints with `--json` to lines for people. Pure functions."""

from __future__ import annotations

from typing import Any

from workbench.tui import text as t
from workbench.tui.bridge import Outcome


def findings(content: Any) -> Outcome:
    """`doctor`: the findings as (state, what, text, remedy)."""
    rows = [
        tuple(str(item.get(key) or "") for key in ("level", "name", "text", "remedy"))
        for item in content["findings"]
    ]
    return Outcome(value=rows)


def verified(content: Any) -> Outcome:
    """`verify`: whole, or each damage with what to do; notes in both cases."""
    read = (
        f"{t.many(content['files'], 'file')}, {t.size(content['nbytes'])}, {t.many(content['rows'], 'chunk')}, "
        f"manifest {content['manifest']}"
    )
    notes = tuple(f"note: {note}" for note in content["notes"])
    if content["whole"]:
        return Outcome((f"whole: every byte is as it was written ({read})", *notes), value=content)
    damage = [f"{item['file']}: {item['what']}. {item['remedy']}" for item in content["problems"]]
    return Outcome(problem="\n".join([f"{len(damage)} damaged ({read})", *damage, *notes]), value=content)


def exported(content: Any) -> Outcome:
    """`export`: rows, size and the files."""
    return Outcome((f"{t.many(content['rows'], 'row')}, {t.size(content['bytes'])}: {', '.join(content['files'])}",))


def rebuilt(content: Any) -> Outcome:
    """`index`: the new index beside the one whose place it took."""
    now, before = content["index"], content["before"]
    columns = [("", "now", "before")] if before else [("", "now", "")]
    for name, key, show in _INDEX:
        if key in now or key in before:
            columns.append((name, show(now.get(key)), show(before.get(key)) if before else ""))
    left, middle = (max(len(row[place]) for row in columns) + 3 for place in (0, 1))
    lines = tuple(f"{name:<{left}}{new:<{middle}}{old}".rstrip() for name, new, old in columns)
    return Outcome(lines, value=content)


def _number(digits: int, unit: str) -> Any:
    return lambda value: t.NOTHING if value is None else f"{float(value):.{digits}f} {unit}".rstrip()


_INDEX: tuple[tuple[str, str, Any], ...] = (
    ("index", "kind", lambda value: str(value or "none")),
    ("recall@10", "recall_at_10", _number(4, "")),
    ("one search", "p50_ms", _number(2, "ms")),
    ("size", "bytes_per_vector", _number(0, "bytes per vector")),
    ("built in", "seconds", _number(1, "s")),
)
