"""Documents and chunks: what is sliced, what is rejected and why."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.sources.helpers import read_all, spec, write
from workbench.core.activity import NullMeter
from workbench.core.errors import UsageError
from workbench.core.units import UnitSpec
from workbench.sources import documents, files
from workbench.sources.registry import open_source

TEXTS = ["plain ascii text " * 40, "naïve café – 中文 😀 " * 60, "x", "𝒳𝒴𝒵" * 100, "last one"]
IDS = [f"doc-{i}" for i in range(len(TEXTS))]


def chunk_table(path: Path, rows: list[tuple[object, object, object]], **more: object) -> Path:
    ids, starts, ends = (list(values) for values in zip(*rows, strict=True))
    return write(path, {"doc_id": ids, "start": starts, "end": ends, **more})


def doc_table(tmp_path: Path, texts: list[object] = TEXTS, ids: list[object] = IDS, **more: object) -> Path:
    return write(tmp_path / "docs.parquet", {"doc_id": ids, "text": texts, **more})


def test_every_slice_is_pythons_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_BATCH_BYTES", 500)  # several batches of documents
    rng = random.Random(1)
    rows = []
    for _ in range(3000):
        number = rng.randrange(len(TEXTS))
        a, b = sorted(rng.sample(range(len(TEXTS[number]) + 1), 2))
        rows.append((IDS[number], a, b))
    docs = doc_table(tmp_path, title=["A", None, "C", "D", "E"])
    pq.write_table(
        pa.table({"doc_id": [r[0] for r in rows], "start": [r[1] for r in rows], "end": [r[2] for r in rows],
                  "page": list(range(3000)), "place": ["mine"] * 3000}),
        tmp_path / "chunks.parquet", row_group_size=700,
    )
    wanted = spec(tmp_path, tmp_path / "chunks.parquet", docs=docs, unit_rows=50)
    plan = open_source(wanted).plan()
    assert len(plan.units) >= 60
    assert plan.rows == 3000
    assert any("place" in note for note in plan.notes)
    chunks, rejects = read_all(wanted, plan)
    texts = dict(zip(IDS, TEXTS, strict=True))
    good = [row for row in rows if texts[row[0]][row[1] : row[2]].strip()]
    assert [chunk["text"] for chunk in chunks] == [texts[i][a:b] for i, a, b in good]
    assert [chunk["title"] for chunk in chunks] == [["A", "", "C", "D", "E"][IDS.index(i)] for i, _, _ in good]
    assert all(chunk["chunk_id"] == f"chunks#{chunk['page']}" and chunk["place_"] == "mine" for chunk in chunks)
    assert len(rejects) == 3000 - len(good)
    assert {reject["reason"] for reject in rejects} <= {"only white space"}


def test_each_bad_row_has_its_reason(tmp_path: Path) -> None:
    docs = doc_table(
        tmp_path, [*TEXTS, None, "twice", "twice!", "same", "same", "   \n"],
        [*IDS, "null", "double", "double", "equal", "equal", "white"],
    )
    rows = [
        ("doc-0", 0, 5), ("doc-0", -1, 5), ("doc-0", 5, 2), ("doc-0", 5, 5), ("doc-2", 0, 2), ("nowhere", 0, 1),
        (None, 0, 1), ("doc-0", None, 1), ("null", 0, 1), ("double", 0, 2), ("equal", 0, 2), ("white", 0, 3),
        ("doc-3", 299, 300), ("doc-3", 299, 301),
    ]
    wanted = spec(tmp_path, chunk_table(tmp_path / "chunks.parquet", rows), docs=docs)
    plan = open_source(wanted).plan()
    assert any("2 document ids occur more than once" in note for note in plan.notes)
    chunks, rejects = read_all(wanted, plan)
    assert [chunk["text"] for chunk in chunks] == ["plain", "sa", "𝒵"]
    reasons = {reject["row"]: reject["reason"] for reject in rejects}
    assert reasons == {
        1: "start is negative", 2: "end is before start", 3: "empty: end equals start",
        4: "end is past the end of the document", 5: "unknown doc_id", 6: "no doc_id",
        7: "start or end is missing", 8: "the document has no text",
        9: "doc_id names several documents with different texts", 11: "only white space",
        13: "end is past the end of the document",
    }
    assert rejects[0]["detail"] == "chunks row 1: start -1, end 5"
    assert rejects[0]["chunk_id"] == "chunks#1"


def test_a_unit_of_nothing_but_bad_rows_rejects_them(tmp_path: Path) -> None:
    rows = [("nowhere", n, n + 1) for n in range(300)] + [("doc-0", 0, 5)] * 300
    wanted = spec(tmp_path, chunk_table(tmp_path / "c.parquet", rows), docs=doc_table(tmp_path), unit_rows=256)
    plan = open_source(wanted).plan()
    assert len(plan.units) > 1
    assert plan.units[0].rows < 300
    chunks, rejects = read_all(wanted, plan)
    assert [chunk["text"] for chunk in chunks] == ["plain"] * 300
    assert [(reject["row"], reject["reason"]) for reject in rejects] == [(n, "unknown doc_id") for n in range(300)]


def test_documents_that_are_no_utf8_are_rejected(tmp_path: Path) -> None:
    # the second holds a surrogate pair written as UTF-8, as UTF-16 tools do
    texts = pa.array([b"fine", b"\xed\xa0\xbd\xed\xb8\x80", b"caf\xe9"], pa.binary())
    docs = write(tmp_path / "docs.parquet", {"doc_id": ["a", "b", "c"], "text": texts})
    wanted = spec(tmp_path, chunk_table(tmp_path / "c.parquet", [("a", 0, 4), ("b", 0, 1), ("c", 0, 1)]), docs=docs)
    chunks, rejects = read_all(wanted)
    assert [chunk["text"] for chunk in chunks] == ["fine"]
    assert [reject["reason"] for reject in rejects] == ["the document is not valid UTF-8"] * 2


def test_ids_and_offsets_of_other_types(tmp_path: Path) -> None:
    docs = doc_table(tmp_path, TEXTS, [1, 2, 3, 4, 10**12])
    ids = pa.array([1.0, 10.0**12, None]).cast(pa.float64())
    chunks = write(
        tmp_path / "c.parquet",
        {"doc_id": ids, "start": pa.array([0.0, 0.5, 0.0]), "end": pa.array([5, 2, 2], pa.uint64()),
         "id": [7, 8, None]},
    )
    rows, rejects = read_all(spec(tmp_path, chunks, docs=docs))
    assert [(row["chunk_id"], row["doc_id"], row["text"]) for row in rows] == [("7", "1", "plain")]
    assert [reject["reason"] for reject in rejects] == ["start or end is not a whole number", "no doc_id"]
    assert [reject["chunk_id"] for reject in rejects] == ["8", "c#2"]


def test_dictionary_ids_large_tables_and_any_order_of_units(tmp_path: Path) -> None:
    count = 2000
    docs = doc_table(tmp_path, [f"text of document {i}" for i in range(count)], [f"{i:05d}" for i in range(count)])
    ids = pa.array([f"{i * 7 % count:05d}" for i in range(count)]).dictionary_encode()
    table = pa.table({"chunk_id": [f"c{i}" for i in range(count)], "doc_id": ids, "start": [0] * count,
                      "end": [5 + i % 3 for i in range(count)]})
    pq.write_table(table, tmp_path / "c.parquet", row_group_size=333)
    wanted = spec(tmp_path, tmp_path / "c.parquet", docs=docs)
    plan = open_source(wanted).plan()
    worker = open_source(wanted)
    forward = {unit.number: worker.read(unit, NullMeter()).chunks for unit in plan.units}
    backward = {unit.number: worker.read(unit, NullMeter()).chunks for unit in reversed(plan.units)}
    odd = open_source(wanted)
    skipping = {unit.number: odd.read(unit, NullMeter()).chunks for unit in plan.units[1::2]}
    assert all(forward[number].equals(backward[number]) for number in forward)
    assert all(forward[number].equals(skipping[number]) for number in skipping)
    assert sum(part.num_rows for part in forward.values()) == count


def test_limit_and_small_units(tmp_path: Path) -> None:
    rows = [("doc-0", i % 500, i % 500 + 20) for i in range(1000)]
    wanted = spec(tmp_path, chunk_table(tmp_path / "c.parquet", rows), docs=doc_table(tmp_path), limit=600)
    plan = open_source(wanted).plan()
    assert plan.rows == 600
    assert sum(unit.rows or 0 for unit in plan.units) == 600
    assert all((unit.rows or 0) <= 256 for unit in plan.units)
    assert len(read_all(wanted, plan)[0]) == 600


def test_plans_are_equal_and_follow_the_content(tmp_path: Path) -> None:
    rows = [("doc-0", 0, 10)] * 40
    wanted = spec(tmp_path, chunk_table(tmp_path / "c.parquet", rows), docs=doc_table(tmp_path))
    first = open_source(wanted).plan()
    assert open_source(wanted).plan() == first
    layouts = sorted((tmp_path / "cache").iterdir())
    doc_table(tmp_path, [text.upper() for text in TEXTS])
    changed = open_source(wanted).plan()
    assert changed.identity["documents"] != first.identity["documents"]
    assert all(path.exists() for path in layouts)
    assert read_all(wanted, changed)[0][0]["text"] == "PLAIN ASCI"


def test_skipped_rows_become_rejects(tmp_path: Path) -> None:
    rows = [("doc-0", 0, 5), ("nowhere", 0, 1), ("doc-0", 0, 6), ("doc-0", 0, 7)]
    wanted = spec(tmp_path, chunk_table(tmp_path / "c.parquet", rows), docs=doc_table(tmp_path))
    [unit] = open_source(wanted).plan().units
    skipping = UnitSpec(unit.number, unit.extent, unit.start, unit.stop, unit.rows, unit.nbytes, skip=(1,))
    found = open_source(wanted).read(skipping, NullMeter())
    assert found.chunks.column("text").to_pylist() == ["plain", "plain a"]
    assert found.rejects.column("reason").to_pylist() == ["unknown doc_id", "crashed the worker"]
    assert found.rejects.column("row").to_pylist() == [1, 2]


@pytest.mark.parametrize(
    ("docs", "chunks", "says"),
    [
        ({"doc_id": ["a"], "body_text": ["t"]}, {}, "body_text"),
        ({"key": ["a"], "text": ["t"]}, {}, "no doc_id column"),
        ({"doc_id": ["a"], "text": [1]}, {}, "holds int64, not text"),
        ({"doc_id": ["a"], "text": ["t"]}, {"begin": [0]}, "no start column"),
        ({"doc_id": ["a"], "text": ["t"]}, {"start": ["0"], "end": ["1"]}, "not whole numbers"),
    ],
)
def test_wrong_columns_are_named(tmp_path: Path, docs: dict, chunks: dict, says: str) -> None:
    columns = {"doc_id": ["a"], **(chunks or {"start": [0], "end": [1]})}
    wanted = spec(tmp_path, write(tmp_path / "c.parquet", columns), docs=write(tmp_path / "d.parquet", docs))
    with pytest.raises(UsageError, match=says):
        open_source(wanted).plan()


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    docs = doc_table(tmp_path)
    broken = tmp_path / "c.parquet"
    broken.write_bytes(b"PAR1 this is none")
    with pytest.raises(UsageError, match="not a readable parquet file"):
        open_source(spec(tmp_path, broken, docs=docs)).plan()
    with pytest.raises(UsageError, match="no such file"):
        spec(tmp_path, tmp_path / "gone.parquet", docs=docs)


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: Usage)
    wanted = spec(tmp_path, chunk_table(tmp_path / "c.parquet", [("doc-0", 0, 5)]), docs=doc_table(tmp_path))
    with pytest.raises(UsageError, match="about 67 MB that laying out the documents needs") as caught:
        open_source(wanted).plan()
    assert caught.value.exit_code == 2
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's /proc/self/smaps_rollup")
def test_documents_read_do_not_stay_in_the_process(tmp_path: Path) -> None:
    text = "word " * 400_000  # 2 MB each, 24 MB in all
    docs = tmp_path / "docs.parquet"
    pq.write_table(pa.table({"doc_id": [f"d{n}" for n in range(12)], "text": [text] * 12}), docs)
    rows = [(f"d{n}", start, start + 1000) for n in range(12) for start in range(0, len(text) - 1000, 50_000)]
    wanted = spec(tmp_path, chunk_table(tmp_path / "c.parquet", rows), docs=docs, unit_rows=40)
    units = open_source(wanted).plan().units
    source = open_source(wanted)
    held = []
    for unit in units:
        source.read(unit, NullMeter())
        held.append(_mapped_pages(str(wanted.cache)))
    assert max(held) < 4 << 20


def _mapped_pages(folder: str) -> int:
    """Bytes of files of a folder that are mapped and held now."""
    inside, total = False, 0
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            inside = folder in line
        elif inside and line.startswith("Rss:"):
            total += int(line.split()[1]) * 1024
    return total
