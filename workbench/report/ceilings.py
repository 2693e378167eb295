"""The measured ceilings in a report: read from `ceilings.json`, drawn as bars."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.diagnose.words import rate
from workbench.report.page import bars

CEILINGS = "ceilings.json"


def ceilings_of(folder: Path) -> Mapping[str, Any] | None:
    """Ceilings measured for this run, or the last ones kept for its collection; None when there are none."""
    for path in (folder / CEILINGS, folder.parent / CEILINGS):
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(found, dict) and isinstance(found.get("stages"), list):
            return found
    return None


def keep_ceilings(collection: Path, ceilings: Mapping[str, Any]) -> Path:
    """Keep ceilings for the reports of a collection's runs; returns the file. Raises OSError."""
    path = collection / "runs" / CEILINGS
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(dict(ceilings), indent=1, ensure_ascii=False), encoding="utf-8", newline="\n")
    return path


def ceilings_part(ceilings: Mapping[str, Any] | None) -> str:
    """Bars of the ceilings, as HTML; how to get them when they were not measured."""
    if ceilings is None:
        return '<p class="soft">Not measured: <code>workbench ceilings</code> runs each stage alone.</p>'
    items = [
        (str(stage["name"]), float(stage["tokens_per_second"]), rate(float(stage["tokens_per_second"])))
        for stage in ceilings["stages"]
    ]
    efficiency = ceilings.get("efficiency")
    line = "" if efficiency is None else (
        f"<p>Pipeline efficiency (end to end ÷ lowest bound): {100 * float(efficiency):.0f} %</p>"
    )
    return bars(items) + line
