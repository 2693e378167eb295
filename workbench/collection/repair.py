"""Mending what `verify` found, without embedding anything."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from workbench.collection import input_state, text_build, withheld
from workbench.collection.growth import now
from workbench.collection.lock import WriterLock
from workbench.collection.store import Store
from workbench.collection.verify import Report
from workbench.collection.writer import CollectionWriter


def repair(path: Path, report: Report, *, drop: bool = False) -> list[str]:
    """Mend a collection; returns a line for each thing done.

    CURRENT is pointed at the newest whole manifest; damaged old manifests are removed; damaged derived parts are
    dropped, and the FAISS and the text index are built again. With `drop`, units with damaged shards are taken out,
    so that the command that made the collection embeds them again.

    Raises:
        UsageError: the collection is in use or cannot be written.
        CollectionDamaged: no manifest is whole.
    """
    store = Store(path)
    lock = WriterLock(path)
    done: list[str] = []
    try:
        store.make_folders()  # copying a collection can lose empty ones
        loaded = store.load_or_fall_back()
        manifest = loaded.manifest
        if loaded.trouble:
            highest, _ = store.highest_numbers()
            manifest = replace(manifest, number=highest + 1, created=now())
            store.publish(manifest)
            done.append(f"went back to manifest {loaded.manifest.number}; the next run adds what is missing")
        for problem in report.problems:
            if problem.kind in ("old", "pointer") and problem.file.endswith(".json"):
                store.disk.remove(path / problem.file)
                done.append(f"removed {problem.file}")
        writer = CollectionWriter(store, manifest, None)
        done += _drop_units(store, writer, report) if drop else []
        if drop or not any(problem.kind == "shard" for problem in report.problems):
            done += _rebuild(store, writer, report)
        else:
            done.append("left the damaged units alone (--drop takes them out), and so the indexes built from them")
        return done
    finally:
        lock.release()


def _drop_units(store: Store, writer: CollectionWriter, report: Report) -> list[str]:
    units: dict[int, set[int]] = defaultdict(set)
    for problem in report.problems:
        if problem.unit is not None:
            units[problem.unit[0]].add(problem.unit[1])
    if units:
        input_state.forget_input(store, writer)  # first, so that no run takes the collection for complete
    dropped = sum(writer.drop_units(numbers, source) for source, numbers in units.items())
    return [f"took {dropped} damaged units out; the next run embeds them again"] if dropped else []


def _rebuild(store: Store, writer: CollectionWriter, report: Report) -> list[str]:
    bad = {problem.file for problem in report.problems if problem.kind == "derived"}
    done = []
    for part in writer.manifest.derived:
        names = {entry.name for entry in part.files}
        if not bad & (names | {name.rpartition("/")[0] for name in names}):  # a file, or the whole folder
            continue
        if part.role == input_state.ROLE:
            input_state.forget_input(store, writer)
            done.append("noted that the input is not known; the next run reads all of it, and embeds only what is new")
            continue
        writer.drop_derived(part.role)
        if part.role == withheld.ROLE:
            done.append("gave up the list of deleted chunks; those that the input still has may come back")
        elif part.role == "ann":
            rescore, effort = (int(part.facts.get(f"asked_{name}") or 0) for name in ("rescore", "effort"))
            writer.build_index(str(part.facts["kind"]), rescore=rescore, nprobe=effort)
            done.append("built the FAISS index again")
        else:
            text_build.update(writer)
            done.append("built the text index again")
    return done
