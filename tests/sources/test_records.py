"""Parquet, JSON lines and CSV with their own text."""

from __future__ import annotations

import bz2
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sources.helpers import read_all, spec, write
from workbench.core.errors import UsageError
from workbench.sources import line_scan
from workbench.sources.registry import open_source


def lines(path: Path, *rows: object) -> Path:
    path.write_bytes(b"\n".join(r if isinstance(r, bytes) else json.dumps(r).encode() for r in rows) + b"\n")
    return path


def test_parquet_keeps_the_users_columns(tmp_path: Path) -> None:
    count = 500
    table = pa.table({
        "_id": pa.array(range(count)), "body": [f"text {i}" for i in range(count)], "title": ["t", None] * (count // 2),
        "tags": [["a", "b"]] * count, "place": ["x"] * count, "vector": [1.5] * count,
        "kind": pa.array(["k"] * count).dictionary_encode(),
    })
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=90)
    wanted = spec(tmp_path, tmp_path / "t.parquet")
    plan = open_source(wanted).plan()
    chunks, rejects = read_all(wanted, plan)
    assert not rejects
    assert plan.rows == count
    assert [chunk["chunk_id"] for chunk in chunks] == [str(i) for i in range(count)]
    assert chunks[7] == {
        "chunk_id": "7", "doc_id": "7", "title": "", "text": "text 7", "place": "t.parquet#7", "tags": ["a", "b"],
        "place_": "x", "vector_": 1.5, "kind": "k",
    }


def test_bad_texts_are_rejects(tmp_path: Path) -> None:
    texts = pa.array([b"good", None, b"", b" \n\t", b"\xff\xfe", "ü".encode()], pa.binary())
    chunks, rejects = read_all(spec(tmp_path, write(tmp_path / "t.parquet", {"text": texts})))
    assert [chunk["text"] for chunk in chunks] == ["good", "ü"]
    assert [(r["row"], r["reason"]) for r in rejects] == [
        (1, "no text"), (2, "empty text"), (3, "only white space"), (4, "text is not valid UTF-8")
    ]
    assert rejects[0]["detail"] == "t.parquet#1"
    assert chunks[1]["chunk_id"] == "t#5"


def test_jsonl_bad_lines_have_their_line_number(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "n.jsonl", b'\xef\xbb\xbf{"text": "first", "n": 1}', b"", {"text": "second", "n": 2}, b"{broken",
        ["no object"], b'{"text": "\xff"}', {"text": None}, {"text": 5}, {"other": 1}, b'{"text": "\\ud800"}',
        {"text": "third", "n": "not a number", "new": {"deep": [1]}}, b'{"text": "fourth"}\r',
    )
    wanted = spec(tmp_path, path)
    chunks, rejects = read_all(wanted)
    assert [(chunk["text"], chunk["place"]) for chunk in chunks] == [
        ("first", "n.jsonl:1"), ("second", "n.jsonl:3"), ("third", "n.jsonl:11"), ("fourth", "n.jsonl:12")
    ]
    assert [(r["row"], r["reason"]) for r in rejects] == [
        (3, "line is not valid JSON"), (4, "line is no JSON object"), (5, "line is not valid UTF-8"), (6, "no text"),
        (7, "text is no text"), (8, "no text"), (9, "line holds half a surrogate pair"),
    ]
    assert "n.jsonl:4" in rejects[0]["detail"]
    assert chunks[2]["new"] == '{"deep": [1]}'


def test_jsonl_types_are_settled_by_the_first_lines(tmp_path: Path) -> None:
    rows = [
        {"text": f"t{i}", "id": i, "n": i, "f": i / 2, "b": i % 2 == 0, "m": i if i % 2 else "x"} for i in range(1100)
    ]
    late = {"text": "late", "id": "abc", "n": 2**70, "f": 2**60 + 1, "b": "no", "m": [1], "unseen": None, "more": True}
    chunks, _ = read_all(spec(tmp_path, lines(tmp_path / "n.jsonl", *rows, late)))
    assert chunks[3] | {} == {
        "chunk_id": "3", "doc_id": "3", "title": "", "text": "t3", "place": "n.jsonl:4", "n": 3, "f": 1.5, "b": False,
        "m": "3", "other_fields": None,
    }
    last = chunks[-1]
    assert last["chunk_id"] == "abc"
    assert (last["n"], last["f"], last["b"], last["m"]) == (None, None, None, "[1]")
    assert json.loads(last["other_fields"]) == {"n": 2**70, "f": 2**60 + 1, "b": "no", "unseen": None, "more": True}


def test_jsonl_long_line_and_units(tmp_path: Path) -> None:
    long = {"text": "word " * 1_000_000, "id": "long"}
    path = lines(tmp_path / "n.jsonl", *({"text": f"t{i}"} for i in range(2000)), long, {"text": "end"})
    wanted = spec(tmp_path, path, unit_rows=32)
    plan = open_source(wanted).plan()
    assert plan.rows == 2002
    assert len(plan.units) >= 60
    chunks, rejects = read_all(wanted, plan)
    assert not rejects
    assert len(chunks) == 2002
    assert chunks[-2]["text"] == long["text"]
    assert chunks[-1]["chunk_id"] == "n#2001"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([b"\n", b"\r\n", b"{}\n", b"abc\r\n", b"x" * 40 + b"\n", b"tail"]), max_size=60),
       st.sampled_from([1, 7, 64, 1 << 20]))
def test_scan_counts_as_python_does(tmp_path: Path, parts: list[bytes], block: int) -> None:
    data = b"".join(parts)
    path = tmp_path / "lines"
    path.write_bytes(data)
    before, line_scan._BLOCK = line_scan._BLOCK, block
    try:
        found = line_scan.scan(path)
    finally:
        line_scan._BLOCK = before
    for offset, line, filled in zip(found.offsets.tolist(), found.lines.tolist(), found.filled.tolist(), strict=True):
        head = data[:offset].split(b"\n")
        if offset < len(data) or data.endswith(b"\n"):
            assert head[-1] == b""
            head.pop()
        elif not data:
            head = []
        assert line == len(head)
        assert filled == sum(bool(item.removesuffix(b"\r")) for item in head)
    assert found.offsets[-1] == len(data)


def test_csv_with_line_ends_in_values_and_bad_rows(tmp_path: Path) -> None:
    path = tmp_path / "n.csv"
    path.write_bytes(
        'id,text,x,x,\n1,"two\nlines, ""quoted""",a,b,c\n2,short\n3,"",a,b,c\n4,fine ü,,b,\n5,a,b,c,d,e\n'.encode()
        + b"6,caf\xe9,a,b,c\n"
    )
    chunks, rejects = read_all(spec(tmp_path, path))
    assert [(c["chunk_id"], c["text"], c["place"]) for c in chunks] == [
        ("1", 'two\nlines, "quoted"', "n.csv#0"), ("4", "fine ü", "n.csv#3")
    ]
    assert chunks[1]["x"] == ""
    assert chunks[1]["x_2"] == "b"
    assert chunks[1]["column_5"] == ""
    assert {(r["row"], r["reason"]) for r in rejects} == {
        (1, "row cannot be read"), (2, "empty text"), (4, "row cannot be read"), (5, "text is not valid UTF-8")
    }
    assert "2 values instead of 5" in next(r["detail"] for r in rejects if r["row"] == 1)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("n.csv", "id;text\n1;hello\n".encode("utf-8-sig")),
        ("n.csv", "id,text\n1,hello\n".encode("utf-16")),
        ("n.tsv", b"id\ttext\n1\thello\n"),
        ("n.csv.gz", gzip.compress(b"id,text\r\n1,hello\r\n")),
        ("n.jsonl.gz", gzip.compress(b'{"id": 1, "text": "hello"}')),
        ("n.ndjson.bz2", bz2.compress(b'{"id": "1", "text": "hello"}\n')),
    ],
    ids=["csv, utf-8 with mark", "csv, utf-16", "tsv", "csv.gz", "jsonl.gz", "ndjson.bz2"],
)
def test_separators_encodings_and_packing(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    chunks, rejects = read_all(spec(tmp_path, path))
    assert [(chunk["chunk_id"], chunk["text"]) for chunk in chunks] == [("1", "hello")]
    assert not rejects


def test_csv_long_value_and_many_rows(tmp_path: Path) -> None:
    path = tmp_path / "n.csv"
    body = "".join(f"{i},text {i}\n" for i in range(10_000))
    path.write_text(f"id,text\n{body}10000,{'y' * 5_000_000}\n", encoding="utf-8", newline="\n")
    wanted = spec(tmp_path, path)
    plan = open_source(wanted).plan()
    chunks, rejects = read_all(wanted, plan)
    assert not rejects
    assert [chunk["chunk_id"] for chunk in chunks] == [str(i) for i in range(10_001)]
    assert 30 <= len(plan.units) <= 64


def test_several_files_have_one_schema_and_distinct_ids(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = write(tmp_path / "a" / "part.parquet", {"text": ["one"], "n": [1], "only": ["x"], "mix": [[1]]})
    second = write(tmp_path / "b" / "part.parquet", {"text": ["two"], "n": [2.5], "mix": ["m"]})
    third = lines(tmp_path / "b" / "c.jsonl", {"text": "three", "n": 3})
    chunks, rejects = read_all(spec(tmp_path, first, second, third))
    assert not rejects
    assert len({chunk["chunk_id"] for chunk in chunks}) == 3
    assert [chunk["n"] for chunk in chunks] == [1.0, 2.5, 3.0]
    assert [chunk["mix"] for chunk in chunks] == ["[1]", "m", None]
    assert [chunk["only"] for chunk in chunks] == ["x", None, None]


def test_a_folder_of_tables(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    write(folder / "a.parquet", {"text": ["one", "two"]})
    lines(folder / "deep" / "b.jsonl", {"text": "three"})
    (folder / "README.md").write_text("about", encoding="utf-8")
    wanted = spec(tmp_path, folder)
    assert wanted.kind == "records"
    assert [chunk["text"] for chunk in read_all(wanted)[0]] == ["one", "two", "three"]


def test_limit_over_files(tmp_path: Path) -> None:
    paths = [lines(tmp_path / f"{n}.jsonl", *({"text": f"{n} {i}"} for i in range(50))) for n in "abc"]
    wanted = spec(tmp_path, *paths, limit=70)
    plan = open_source(wanted).plan()
    chunks, _ = read_all(wanted, plan)
    assert plan.rows == len(chunks) == 70
    assert chunks[-1]["text"] == "b 19"


def test_wrong_columns_and_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"it has: txet, n\. .*txet"):
        open_source(spec(tmp_path, write(tmp_path / "a.parquet", {"txet": ["x"], "n": [1]}))).plan()
    with pytest.raises(UsageError, match="--docs"):
        open_source(spec(tmp_path, write(tmp_path / "b.parquet", {"doc_id": ["x"], "start": [1], "end": [2]}))).plan()
    with pytest.raises(UsageError, match=r"no column 'nmae'.*name"):
        open_source(spec(tmp_path, write(tmp_path / "c.parquet", {"name": ["x"]}), text="nmae")).plan()
    (tmp_path / "d.jsonl").write_text("not json\n", encoding="utf-8")
    with pytest.raises(UsageError, match="JSON object"):
        open_source(spec(tmp_path, tmp_path / "d.jsonl")).plan()
    (tmp_path / "e.jsonl.gz").write_bytes(b"\x1f\x8bbroken")
    with pytest.raises(UsageError, match="unpacked"):
        open_source(spec(tmp_path, tmp_path / "e.jsonl.gz")).plan()
    (tmp_path / "f.csv").write_bytes(b"")
    with pytest.raises(UsageError, match="no header"):
        open_source(spec(tmp_path, tmp_path / "f.csv")).plan()
    with pytest.raises(UsageError, match="no rows"):
        open_source(spec(tmp_path, write(tmp_path / "g.parquet", {"text": pa.array([], pa.string())}))).plan()
