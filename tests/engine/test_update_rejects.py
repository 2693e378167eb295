"""What an update says of bad rows, and of rows whose columns are not the same when they have been stored."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.engine import harness
from tests.engine.harness import go
from tests.engine.notes import asked
from workbench.collection.reader import Collection
from workbench.collection.verify import verify
from workbench.core.run import RunResult


def rejected(path: Path) -> list[tuple[int, str]]:
    """(row, reason) of all rejects, as the manifest counts them."""
    with Collection.open(path) as collection:
        files = [shard.rejected.name for shard in collection.manifest.shards if shard.rejected is not None]
        found = [(row["row"], row["reason"]) for name in files for row in pq.read_table(path / name).to_pylist()]
        assert collection.manifest.rejects == len(found)
        return sorted(found)


def test_rejects_of_a_table_are_those_it_has_now(tmp_path):
    source = tmp_path / "t.jsonl"
    texts = [f"row number {n}" if n not in (7, 30) else "" for n in range(60)]

    def again(limit: int = 0) -> RunResult:
        lines = (json.dumps({"id": f"r{n}", "text": text}) for n, text in enumerate(texts))
        source.write_text("\n".join(lines), encoding="utf-8", newline="\n")
        return go(replace(harness.request(tmp_path, source, into="c"), limit=limit))

    assert again().rejects == 2
    texts[5] = "changed"
    assert again().rejects == 2
    texts[30], texts[41] = "mended", ""
    assert again().rejects == 2
    assert rejected(tmp_path / "c") == [(7, "empty text"), (41, "empty text")]
    assert again(limit=20).rejects == 2  # what lies beyond is as bad as it was
    assert rejected(tmp_path / "c") == [(7, "empty text"), (41, "empty text")]
    assert verify(tmp_path / "c").whole


def test_rejects_of_a_folder_are_those_it_has_now(tmp_path, notes):
    for name in ("bad", "worse"):
        (notes / f"{name}.md").write_bytes(b"caf\xe9 broken")
    assert go(asked(tmp_path, notes, "c")).rejects == 2
    (notes / "bad.md").write_text("mended", encoding="utf-8")
    (notes / "blank.md").write_text(" \n", encoding="utf-8")
    assert go(asked(tmp_path, notes, "c")).rejects == 2
    (notes / "blank.md").unlink()
    assert go(asked(tmp_path, notes, "c")).rejects == 1
    (reason,) = [reason for _, reason in rejected(tmp_path / "c")]
    assert "not valid" in reason
    assert verify(tmp_path / "c").whole


def test_rows_with_times_are_known_again(tmp_path):
    """Parquet knows no seconds, Python no nanoseconds."""
    def write(first: str) -> None:
        table = pa.table({
            "id": [f"r{n}" for n in range(40)], "text": [first, *(f"row number {n}" for n in range(39))],
            "nano": pa.array(range(1, 41), pa.timestamp("ns")), "second": pa.array(range(40), pa.timestamp("s", "UTC")),
            "span": pa.array(range(40), pa.duration("ns")),
        })
        pq.write_table(table, tmp_path / "t.parquet")

    write("first")
    go(harness.request(tmp_path, tmp_path / "t.parquet", into="c"))
    write("other")
    again = go(harness.request(tmp_path, tmp_path / "t.parquet", into="c"))
    assert (again.unchanged, again.chunks, again.removed, again.rejects) == (39, 1, 1, 0)
