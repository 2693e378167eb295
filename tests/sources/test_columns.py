"""Columns of unusual types: what is taken, what is noted, what is refused."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.sources.helpers import read_all, spec, write
from workbench.core.errors import UsageError
from workbench.sources import columns as cols
from workbench.sources.registry import open_source

UUIDS = [uuid.UUID(int=number * 2**90 + 5) for number in range(1, 4)]
TEXTS = ["one", None, "three"]  # the row in the middle is bad, so that rows are taken out of all columns


def records(tmp_path: Path, **columns: Any) -> Path:
    return write(tmp_path / "t.parquet", {"text": TEXTS, **columns})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([Decimal(7), None, Decimal(10**20)], pa.decimal128(38, 0)), ["7", str(10**20)]),
        (pa.array([Decimal("7.00"), None, Decimal("8.50")], pa.decimal128(9, 2)), ["7", "8.50"]),
        (pa.array([one.bytes for one in UUIDS], pa.uuid()), [str(UUIDS[0]), str(UUIDS[2])]),
        (pa.array(["a", "b", "c"], pa.string_view()), ["a", "c"]),
        (pa.array([b"a", b"b", b"c"], pa.binary_view()), ["a", "c"]),
    ],
    ids=["decimal", "decimal with a scale", "uuid", "string view", "binary view"],
)
def test_ids_of_many_types(tmp_path: Path, values: pa.Array, expected: list[str]) -> None:
    wanted = spec(tmp_path, records(tmp_path, key=values, title=values), chunk_id="key")
    plan = open_source(wanted).plan()
    assert plan.notes == ()
    chunks, rejects = read_all(wanted, plan)
    assert [chunk["chunk_id"] for chunk in chunks] == expected
    assert [chunk["title"].removesuffix(".00") for chunk in chunks] == expected
    assert len(rejects) == 1


def test_a_chunk_tables_ids_of_other_types(tmp_path: Path) -> None:
    docs = write(tmp_path / "docs.parquet", {
        "doc_id": pa.array([one.bytes for one in UUIDS], pa.uuid()), "text": ["first", "second", "third"],
    })
    ids = pa.array([str(UUIDS[1]), str(UUIDS[0]), str(UUIDS[2])], pa.string_view())
    chunks = write(tmp_path / "c.parquet", {
        "doc_id": ids, "start": [0, 1, 9], "end": [2, 3, 9], "chunk_id": pa.array([1, 2, 3], pa.decimal128(5, 0)),
    })
    found, rejects = read_all(spec(tmp_path, chunks, docs=docs))
    assert [(chunk["chunk_id"], chunk["text"]) for chunk in found] == [("1", "se"), ("2", "ir")]
    assert [reject["chunk_id"] for reject in rejects] == ["3"]


ODD = [
    (pa.array([["a"]] * 3), "list<"), (pa.array([{"a": 1}] * 3), "struct<a: int64>"),
    (pa.array([b"abc"] * 3, pa.binary(3)), "fixed_size_binary[3]"),
]


@pytest.mark.parametrize(("values", "kind"), ODD)
def test_columns_that_cannot_be_what_their_name_says_are_kept_and_noted(
    tmp_path: Path, values: pa.Array, kind: str
) -> None:
    wanted = spec(tmp_path, records(tmp_path, title=values, id=values))
    plan = open_source(wanted).plan()
    assert any(f"column 'id' holds {kind}" in note and "cannot be ids" in note for note in plan.notes)
    assert any(f"column 'title' holds {kind}" in note and "cannot be titles" in note for note in plan.notes)
    chunks, _ = read_all(wanted, plan)
    assert [(chunk["chunk_id"], chunk["title"], chunk["title_"]) for chunk in chunks] == [
        ("t#0", "", values[0].as_py()), ("t#2", "", values[2].as_py())
    ]


@pytest.mark.parametrize(("values", "kind"), ODD)
@pytest.mark.parametrize("role", ["title", "chunk_id", "doc_id"])
def test_a_chosen_column_that_cannot_be_it_is_refused(tmp_path: Path, values: pa.Array, kind: str, role: str) -> None:
    wanted = spec(tmp_path, records(tmp_path, mine=values), **{role: "mine"})
    with pytest.raises(UsageError, match=rf"column 'mine' holds .* cannot be .*source\.{role}=NAME"):
        open_source(wanted).plan()


def test_titles_of_documents_that_cannot_be_titles(tmp_path: Path) -> None:
    docs = write(tmp_path / "docs.parquet", {"doc_id": ["a"], "text": ["some text"], "title": [["a", "b"]]})
    chunks = write(tmp_path / "c.parquet", {"doc_id": ["a"], "start": [0], "end": [4]})
    wanted = spec(tmp_path, chunks, docs=docs)
    plan = open_source(wanted).plan()
    assert any("column 'title' holds list<" in note for note in plan.notes)
    assert [(chunk["text"], chunk["title"]) for chunk in read_all(wanted, plan)[0]] == [("some", "")]
    with pytest.raises(UsageError, match="cannot be titles"):
        open_source(spec(tmp_path, chunks, docs=docs, title="title")).plan()
    ids = write(tmp_path / "d.parquet", {"doc_id": ["a"], "start": [0], "end": [4], "chunk_id": [["x"]]})
    noted = spec(tmp_path, ids, docs=docs)
    assert [chunk["chunk_id"] for chunk in read_all(noted)[0]] == ["d#0"]
    with pytest.raises(UsageError, match="cannot be ids"):
        open_source(spec(tmp_path, ids, docs=docs, chunk_id="chunk_id")).plan()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([True, None], pa.bool_()), ["true", ""]),
        (pa.array([datetime.date(2020, 1, 2), None]), ["2020-01-02", ""]),
        (pa.array(["a", None]).dictionary_encode(), ["a", ""]),
    ],
)
def test_titles_that_are_no_text(values: pa.Array, expected: list[str]) -> None:
    assert cols.is_title(values.type)
    assert cols.as_plain_string(values).to_pylist() == expected


def test_a_time_with_a_zone_is_no_title_because_windows_cannot_write_it() -> None:
    assert cols.is_title(pa.timestamp("us"))
    assert not cols.is_title(pa.timestamp("us", "Europe/Berlin"))


def test_own_columns_of_views_beside_bad_rows(tmp_path: Path) -> None:
    views = {
        "a": pa.array(["x", "y", "z"], pa.string_view()), "b": pa.array([b"x", b"y", b"z"], pa.binary_view()),
        "c": pa.array([["x"], [], ["z"]], pa.list_(pa.string_view())),
        "d": pa.array([{"deep": "x"}] * 3, pa.struct([("deep", pa.string_view())])),
    }
    chunks, _ = read_all(spec(tmp_path, records(tmp_path, **views)))
    assert [(row["a"], row["b"], row["c"], row["d"]) for row in chunks] == [
        ("x", b"x", ["x"], {"deep": "x"}), ("z", b"z", ["z"], {"deep": "x"})
    ]


def test_columns_of_the_same_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array(["a"])] * 3, ["text", "more", "more"]), path)
    with pytest.raises(UsageError, match=r"twice\.parquet: has more than one column named 'more'"):
        open_source(spec(tmp_path, path)).plan()
