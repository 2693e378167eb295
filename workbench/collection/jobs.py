"""Long work on a collection, each in a process of its own, so that the caller never loads FAISS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.core.apart import Progress, run_apart

if TYPE_CHECKING:
    from workbench.collection.manifest import Fact
    from workbench.collection.verify import Report


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The index that was built, and the one whose place it took.

    Attributes:
        now, before: kind, recall_at_10, seconds, bytes_per_vector …, and p50_ms: the median of one search (one
            query, one thread, ten hits), both measured now. `before` is empty when there was no index.
    """

    now: dict[str, Fact]
    before: dict[str, Fact]


def verify_collection(
    path: Path, *, repair: bool = False, drop: bool = False, progress: Progress | None = None
) -> tuple[Report, list[str]]:
    """(what `verify.verify` finds, what was mended); with `repair` a damaged collection is mended and read again.

    Raises:
        UsageError, RunFailed: as `verify.verify` and `repair.repair`.
    """
    return run_apart(_verify, path, repair, drop, progress=progress)


def rebuild_index(
    path: Path, kind: str, *, rescore: int = 0, nprobe: int = 0, sample: int = 200, progress: Progress | None = None
) -> Rebuilt:
    """Build the FAISS index anew from the shards and make it the current one; readers go on with the old one.

    Args:
        kind: one of `index_kinds.NAMES`, or a FAISS factory string.
        rescore, nprobe: 0 = calibrated. sample: own vectors as queries that recall@10 is measured on.

    Raises:
        UsageError: no collection, in use, or FAISS does not take the kind. RunFailed: a shard is damaged.
    """
    return run_apart(_index, path, kind, rescore, nprobe, sample, progress=progress)


def _verify(path: Path, mend: bool, drop: bool, progress: Progress) -> tuple[Report, list[str]]:
    from workbench.collection.repair import repair
    from workbench.collection.verify import verify

    report = verify(path, progress)
    if not mend or report.whole:
        return report, []
    done = repair(path, report, drop=drop)
    return verify(path, progress), done


def _index(path: Path, kind: str, rescore: int, nprobe: int, sample: int, progress: Progress) -> Rebuilt:
    from workbench.collection.index_latency import median_ms
    from workbench.collection.locked import locked
    from workbench.collection.writer import CollectionWriter

    with locked(path) as store:
        writer = CollectionWriter(store, store.load(), None)
        old = writer.manifest.derivative("ann")
        before = {} if old is None else {**old.facts, "p50_ms": median_ms(store, writer.manifest)}
        facts = writer.build_index(
            kind, rescore=rescore, nprobe=nprobe, sample=sample, rebuild=True, progress=progress
        )
        progress("measuring latency", 0, 1)
        return Rebuilt({**facts, "p50_ms": median_ms(store, writer.manifest)}, before)
