"""What there is on disk: collections, recorded runs, what a collection holds. Reads files; call in a thread.

Standard library only: nothing here loads pyarrow.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.collection.manifest import Manifest
from workbench.collection.store import Store
from workbench.core.errors import WorkbenchError
from workbench.core.paths import recent_collections
from workbench.telemetry.codec import load_facts
from workbench.telemetry.recorder import SAMPLES
from workbench.telemetry.snapshot import RunFacts
from workbench.tui import text as t
from workbench.tui.bridge import CollectionCard, RunCard, RunEnd

_RUNS_SHOWN = 300
#: Tokens of a run whose rate tells something of the next one.
_TELLING = 10_000


def collections() -> list[CollectionCard]:
    """Known collections, the newest first; one that cannot be read is listed without figures."""
    return [_card(path) for path in recent_collections()]


def _card(path: Path) -> CollectionCard:
    try:
        manifest = Store(path).load_or_fall_back().manifest
    except (WorkbenchError, OSError):
        return CollectionCard(path, f"{path.name} (damaged)", None, None, None)
    size = sum(entry.size for entry in manifest.files())
    return CollectionCard(path, path.name.removesuffix(".collection"), manifest.rows, size, _built(path))


def _built(path: Path) -> float | None:
    try:
        return (path / "CURRENT").stat().st_mtime
    except OSError:
        return None


def runs() -> list[RunCard]:
    """Recorded runs of the known collections, the newest first."""
    cards = [card for path in recent_collections() for card in _runs_of(path)]
    return sorted(cards, key=lambda card: -card.started)[:_RUNS_SHOWN]


def _runs_of(collection: Path) -> Iterator[RunCard]:
    try:
        folders = sorted((collection / "runs").iterdir(), reverse=True)[:_RUNS_SHOWN]
    except OSError:
        return
    for folder in folders:
        facts = facts_of(folder)
        result = result_of(folder)
        if facts is not None:
            yield RunCard(
                folder, collection.name.removesuffix(".collection"), facts.title, facts.started,
                str(result.get("outcome", "cut off")), _number(result.get("tokens_per_second")),
                _whole(result.get("chunks")), _number(result.get("seconds")), _profile(facts),
                str(facts.encoder.get("model", "")),
            )


def facts_of(folder: Path) -> RunFacts | None:
    """Facts of a recorded run; None when it has none that can be read."""
    try:
        with (folder / SAMPLES).open(encoding="utf-8", errors="replace") as file:
            return load_facts(file.readline())[0]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def result_of(folder: Path) -> dict[str, Any]:
    """`result.json` of a run; empty when it did not come so far."""
    try:
        content = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def ending(folder: Path) -> RunEnd | None:
    """What a recorded run came to, from its result; None without one."""
    result = result_of(folder)
    seconds, chunks = _number(result.get("seconds")), _number(result.get("chunks"))
    if seconds is None:
        return None
    rows = chunks / seconds if chunks is not None and seconds > 0 else None
    return RunEnd(str(result.get("outcome", "")), seconds, _number(result.get("tokens_per_second")), rows)


def _profile(facts: RunFacts) -> str:
    return str(facts.settings.get("profile", ""))


def last_rate(model: str) -> tuple[float, str] | None:
    """Tokens/s of the newest finished run with a model, and where it is from; None without any.

    Runs of a few texts say how long starting takes, not how fast the machine is.
    """
    for card in runs():
        found = card.tokens_per_second or 0.0
        tells = card.outcome in ("done", "stopped") and found * (card.seconds or 0.0) >= _TELLING
        if card.model == model and tells:
            rate = t.si(found, "tokens/s")
            return found, f"at {rate}, as on {t.date(card.started)}"
    return None


def describe(path: Path) -> list[tuple[str, str]]:
    """What `info` says, as pairs. Raises WorkbenchError."""
    loaded = Store(path).load_or_fall_back()
    manifest = loaded.manifest
    deleted = sum(shard.deleted for shard in manifest.shards)
    derived = sum(entry.size for part in manifest.derived for entry in part.files)
    texts, vectors = sum(s.chunks.size for s in manifest.shards), sum(s.vectors.size for s in manifest.shards)
    pairs = [
        ("collection", str(path)),
        ("chunks", f"{manifest.rows:,}" + (f" ({deleted:,} more deleted)" if deleted else "")),
        ("tokens", f"{manifest.tokens:,}"),
        ("rejects", f"{manifest.rejects:,}" + (" (reasons in rejects/)" if manifest.rejects else "")),
        *(("source", title) for title in dict.fromkeys(item.title for item in manifest.sources)),
        ("vectors", f"{manifest.dim} × {manifest.dtype}, compared by {manifest.metric.replace('_', ' ')}"),
        ("index", _index(manifest)),
        ("size", f"{t.size(texts + vectors + derived)}: texts {t.size(texts)}, vectors {t.size(vectors)}, "
                 f"derived {t.size(derived)}"),
        ("changed", f"{_local(manifest.created)}, manifest {manifest.number}, {t.many(len(manifest.shards), 'shard')}"),
    ]
    pairs += [(key.replace("_", " "), _word(value)) for key, value in manifest.identity.items() if str(value)]
    return pairs + ([("note", loaded.trouble)] if loaded.trouble else [])


def _word(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _index(manifest: Manifest) -> str:
    """Kind, measured recall, latency and time to build, as far as they are kept."""
    part = manifest.derivative("ann")
    if part is None:
        return "none: searched exactly; b builds one"
    facts = dict(part.facts)
    words = [str(facts.pop("kind", "?"))]
    recall = _number(facts.pop("recall_at_10", None))
    words += [f"recall@10 {recall:.4f}"] if recall is not None else []
    for key, value in facts.items():
        number = _number(value)
        if number is not None and key.endswith(("_ms", "seconds")):
            name, unit = re.sub(r"_?(ms|seconds)$", "", key).replace("_", " "), "ms" if key.endswith("_ms") else "s"
            words.append(f"{name or 'built in'} {number:.2f} {unit}")
    if part.shards != tuple(shard.number for shard in manifest.shards):
        words.append("does not cover every shard; the next run or b completes it")
    return ", ".join(words)


def _local(created: str) -> str:
    """A moment in ISO 8601 (UTC) as local time; what is no moment stays as it is."""
    from datetime import datetime

    try:
        return t.date(datetime.fromisoformat(created.replace("Z", "+00:00")).timestamp())
    except ValueError:
        return created or time.strftime("")


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
