"""What a run will cost, worked out in a process of its own: a plan and a few tokenised rows."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.core.run import RunRequest
from workbench.tui import text as t
from workbench.tui.bridge import Estimate

if TYPE_CHECKING:
    from workbench.core.units import Plan
    from workbench.engine.setting import Setting
    from workbench.sources.base import Source

#: Rows tokenised per unit looked at, and seconds after which no further unit is read.
_ROWS = 200
_SECONDS = 2.5
#: Bytes of text per token where nothing was tokenised (English prose with a word-piece vocabulary: 4 to 5).
_BYTES_PER_TOKEN = 4.4
#: Text on disk per byte of text (prose, in row groups of a shard).
_COMPRESSED = {"lz4": 0.6, "zstd": 0.4, "none": 1.0}


@dataclass(frozen=True, slots=True)
class _Sample:
    """What was seen: rows and bytes of the units read, tokens per row (None: nothing was tokenised)."""

    rows: int = 0
    nbytes: int = 0
    tokens_per_row: float | None = None


def estimate(request: RunRequest) -> Estimate:
    """Raises WorkbenchError for an input or model that cannot be used."""
    from workbench.engine.setting import resolve

    setting = resolve(request)
    if setting.source.kind == "tables":
        title, rows, nbytes, notes = _tables(setting)
        return _sum_up(setting, title, rows, nbytes, None, notes)
    scratch = tempfile.mkdtemp(prefix="workbench-estimate-")
    try:
        source, plan = _plan(setting, scratch)
        sample = _look(setting, source, plan)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    known = plan.rows
    if known is None and sample.nbytes:
        known = round(sample.rows * plan.nbytes / sample.nbytes)
    return _sum_up(setting, plan.title, known, plan.nbytes, sample.tokens_per_row, plan.notes)


def _plan(setting: Setting, scratch: str) -> tuple[Source, Plan]:
    """The source and its plan; nothing is laid out in the user's folder for an estimate."""
    from workbench.sources.registry import open_source
    from workbench.text.tokenising import Tokeniser

    source = open_source(replace(setting.source, cache=scratch), Tokeniser(setting.model).spans)
    return source, source.plan()


def _look(setting: Setting, source: Source, plan: Plan) -> _Sample:
    """Read up to three units, spread over the input, and tokenise some rows of each."""
    from workbench.core.activity import NullMeter
    from workbench.text.joining import join
    from workbench.text.tokenising import Tokeniser

    tokeniser, begun = Tokeniser(setting.model), time.perf_counter()
    rows = nbytes = seen = tokens = 0
    for number in sorted({0, len(plan.units) // 2, len(plan.units) - 1}):
        if not plan.units or (rows and time.perf_counter() - begun > _SECONDS):
            break
        unit = plan.units[number]
        chunks = source.read(unit, NullMeter()).chunks
        rows, nbytes = rows + chunks.num_rows, nbytes + unit.nbytes
        some = chunks.slice(0, _ROWS)
        texts = join(some.column("title"), some.column("text"), setting.model.template)
        seen, tokens = seen + len(texts), tokens + int(tokeniser.encode(texts).lengths.sum())
    return _Sample(rows, nbytes, tokens / seen if seen else None)


def _tables(setting: Setting) -> tuple[str, int, int, tuple[str, ...]]:
    """Two parquet tables: their footers say enough, and laying out the documents would cost too much."""
    import pyarrow.parquet as pq

    chunks = Path(setting.source.paths[0])
    docs = Path(setting.source.docs)
    files = sorted(docs.glob("*.parquet")) if docs.is_dir() else [docs]
    nbytes = 0
    for file in files:
        metadata = pq.ParquetFile(file).metadata
        nbytes += sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    rows = pq.ParquetFile(chunks).metadata.num_rows
    limit = setting.source.limit
    return chunks.stem, min(rows, limit) if limit else rows, nbytes, ()


def _sum_up(
    setting: Setting, title: str, rows: int | None, nbytes: int, per_row: float | None, notes: tuple[str, ...]
) -> Estimate:
    from workbench.tui.known import last_rate

    tokens = round(rows * per_row) if rows is not None and per_row else round(nbytes / _BYTES_PER_TOKEN)
    width = 2 if setting.request.profile.collection.vectors == "float16" else 4
    text = _COMPRESSED[setting.request.profile.collection.compression] * nbytes
    disk = None if rows is None else round(1.15 * rows * setting.model.dim * width + text)
    rate = last_rate(setting.model.name)
    there = _there(setting)
    remaining = tokens * (1.0 - min(1.0, there / rows)) if rows else tokens
    said = [f"already in the collection: {t.many(there, 'chunk')}; the run resumes"] if there else []
    return Estimate(
        title=title, rows=rows, tokens=tokens, disk_bytes=disk,
        seconds=remaining / rate[0] if rate else None,
        rate_from=rate[1] if rate else "no run with this model yet, so its speed is not known",
        free_bytes=_free(setting.into), notes=(*notes[:3], *said),
    )


def _there(setting: Setting) -> int:
    """Chunks of the collection that stand already and will not be embedded again."""
    from workbench.collection.store import Store
    from workbench.core.errors import WorkbenchError

    if setting.request.fresh or not (setting.into / "CURRENT").is_file():
        return 0
    try:
        return Store(setting.into).load().rows
    except (WorkbenchError, OSError):
        return 0


def _free(folder: Path) -> int | None:
    """Free bytes where the collection will be; of the nearest folder that exists."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        return shutil.disk_usage(place).free
    except OSError:
        return None
