"""Finding recorded runs (by path, by name, or the last one of a collection), and what they came to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.core.errors import UsageError
from workbench.core.paths import chosen_collection
from workbench.telemetry.recorder import SAMPLES

RESULT = "result.json"


def runs_of(collection: Path) -> list[Path]:
    """Folders of the recorded runs of a collection, oldest first (their names sort by time)."""
    return sorted(path.parent for path in (collection / "runs").glob(f"*/{SAMPLES}"))


def find_run(run: str | None, collection: Path | None = None) -> Path:
    """The folder of a recorded run.

    Args:
        run: a run's folder, its samples file, a collection (its last run), or the name of a run (or its
            beginning) in the collection; None = the last run.
        collection: where names are looked up; None = the collection built last.

    Raises UsageError when there is no such run, or several fit.
    """
    if run is not None:
        path = Path(run)
        if path.name == SAMPLES and path.is_file():
            return path.parent
        if (path / SAMPLES).is_file():
            return path
        if (path / "runs").is_dir():
            return _last(path)
        if path.exists() and path.is_file():
            raise UsageError("is no recording of a run", where=run, remedy=f"Give the run's folder or its {SAMPLES}")
    where = chosen_collection(collection)
    return _last(where) if run is None else _named(run, where)


def _last(collection: Path) -> Path:
    found = runs_of(collection)
    if not found:
        raise UsageError(
            "no run is recorded in this collection", where=str(collection),
            remedy="Runs are recorded from their first second; embed something with `run`",
        )
    return found[-1]


def _named(run: str, collection: Path) -> Path:
    names = [path for path in runs_of(collection) if path.name.startswith(run)]
    exact = [path for path in names if path.name == run]
    if len(exact or names) == 1:
        return (exact or names)[0]
    known = ", ".join(path.name for path in runs_of(collection)[-3:]) or "none"
    what = "there is no such run" if not names else f"{len(names)} runs begin so"
    raise UsageError(what, where=run, remedy=f"The last runs of {collection} are: {known}")


def result_of(folder: Path) -> Mapping[str, Any] | None:
    """What a run came to (`RunResult` as written at its end); None when it wrote none."""
    try:
        result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return result if isinstance(result, dict) else None


def failure_of(result: Mapping[str, Any]) -> str | None:
    """Why a run failed, from what `result_of` returns; None when it did not."""
    if result.get("outcome") != "failed":
        return None
    failure = result.get("failure")
    return str(failure["message"]) if isinstance(failure, dict) and "message" in failure else "no reason recorded"


def collection_of(folder: Path) -> Path | None:
    """The collection that a run's folder lies in now, wherever it was built; None outside of any."""
    runs = folder.resolve().parent
    return runs.parent if runs.name == "runs" and (runs.parent / "CURRENT").is_file() else None
