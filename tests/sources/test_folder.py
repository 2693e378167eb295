"""Folders and single files of documents."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.sources.helpers import read_all, spec, word_spans
from workbench.core.activity import NullMeter
from workbench.core.errors import UsageError
from workbench.sources import folder_files
from workbench.sources.registry import open_source


def make(tmp_path: Path, **contents: str | bytes) -> Path:
    folder = tmp_path / "docs"
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_a_folder(tmp_path: Path) -> None:
    folder = make(tmp_path, **{
        "guide.md": "# Guide\r\nHello there.\r\n\r\n## Setup\r\nRun it. " + "Go on now. " * 40,
        "sub/näme.txt": "plain text",
        "sub/mod.py": '"""Doc."""\n\n\ndef f():\n    return 1\n',
        "page.html": "<title>Page</title><h1>Top</h1><p>body</p>",
        "image.png": b"\x89PNG\0", "fake.txt": b"a\0b", "empty.md": b"", ".hidden.md": "x", ".git/config.txt": "x",
        "node_modules/a.js": "x", "table.csv": "a,b", "notes.rst": "Title\n=====\n\nwords\n",
    })
    wanted = spec(tmp_path, folder)
    assert wanted.kind == "folder"
    plan = open_source(wanted).plan()
    assert set(plan.notes) == {
        "1 files skipped: binary", "1 files skipped: empty", "1 files skipped: hidden",
        "2 files skipped: of another kind", "2 folders skipped: hidden or generated",
    }
    chunks, rejects = read_all(wanted, plan)
    assert not rejects
    found = {chunk["chunk_id"]: chunk for chunk in chunks}
    assert found["guide.md#1"]["text"] == "Hello there."
    assert found["guide.md#2"]["title"] == "Guide › Setup"
    assert found["guide.md#2"]["place"] == "guide.md:5"
    assert len(found["guide.md#2"]["text"]) > 100
    assert "guide.md#3" in found
    assert found["page.html#1"]["title"] == "Page › Top"
    assert found["sub/näme.txt#1"]["doc_id"] == "sub/näme.txt"
    assert found["sub/mod.py#2"]["title"] == "mod.py › f"
    assert found["sub/mod.py#2"]["place"] == "sub/mod.py:4"
    assert found["notes.rst#1"]["title"] == "Title"
    assert all(len(s) <= 50 for s in word_spans([c["title"] + " " + c["text"] for c in chunks]))


def test_encodings(tmp_path: Path) -> None:
    folder = make(tmp_path, **{
        "a.txt": "\ufeffüber".encode(), "b.txt": "中文".encode("utf-16"), "c.txt": "café".encode("latin-1"),
        "d.txt": " \n ", "e.html": "<p> </p>",
    })
    chunks, rejects = read_all(spec(tmp_path, folder))
    assert [chunk["text"] for chunk in chunks] == ["über", "中文"]
    assert [(r["reason"], r["detail"]) for r in rejects] == [
        ("file is not valid UTF-8", "c.txt: byte 3"), ("empty text", "d.txt"), ("empty text", "e.html: markup only")
    ]


def test_single_files_and_limit(tmp_path: Path) -> None:
    folder = make(tmp_path, **{f"{i}.md": f"text {i}" for i in range(9)}, odd="a file without ending")
    files = [folder / "3.md", folder / "odd"]
    assert [chunk["doc_id"] for chunk in read_all(spec(tmp_path, *files))[0]] == ["3.md", "odd"]
    assert len(read_all(spec(tmp_path, folder, limit=4))[0]) == 4


def test_two_folders_have_distinct_ids(tmp_path: Path) -> None:
    for name in ("x", "y"):
        make(tmp_path / name, **{"a.md": f"text {name}"})
        (tmp_path / name / "docs").rename(tmp_path / f"docs-{name}")
    chunks, _ = read_all(spec(tmp_path, tmp_path / "docs-x", tmp_path / "docs-y"))
    assert [chunk["chunk_id"] for chunk in chunks] == ["docs-x/a.md#1", "docs-y/a.md#1"]


def test_nothing_to_read(tmp_path: Path) -> None:
    (tmp_path / "void").mkdir()
    with pytest.raises(UsageError, match="nothing to embed here"):
        open_source(spec(tmp_path, tmp_path / "void")).plan()
    folder = make(tmp_path, **{"a.png": b"\0", "b.txt": b""})
    with pytest.raises(UsageError, match="1 files skipped: empty; 1 files skipped: of another kind"):
        open_source(spec(tmp_path, folder)).plan()


def test_a_file_that_goes_missing_is_a_reject(tmp_path: Path) -> None:
    folder = make(tmp_path, **{"a.md": "stays", "b.md": "goes"})
    wanted = spec(tmp_path, folder)
    plan = open_source(wanted).plan()
    (folder / "b.md").unlink()
    chunks, rejects = read_all(wanted, plan)
    assert [chunk["text"] for chunk in chunks] == ["stays"]
    assert rejects[0]["reason"] == "file cannot be read"


def test_a_file_that_cannot_be_parsed_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deep(text: str) -> None:
        raise RecursionError(f"too deep for {text}")

    monkeypatch.setattr("workbench.text.documents.parse_markdown", deep)
    folder = make(tmp_path, **{"a.txt": "first", "b.md": "nested", "c.html": "<p>third</p><![endif--]><p>part</p>"})
    wanted = spec(tmp_path, folder)
    plan = open_source(wanted).plan()
    assert len(plan.units) == 1
    chunks, rejects = read_all(wanted, plan)
    assert [chunk["text"].split() for chunk in chunks] == [["first"], ["third", "part"]]
    assert [(r["row"], r["doc_id"], r["reason"], r["detail"]) for r in rejects] == [
        (1, "b.md", "file cannot be parsed", "b.md: RecursionError: too deep for nested")
    ]


@pytest.mark.parametrize("line", ["one line only. ", "中文句子，没有空格。", "short lines\n"])
def test_large_files_are_read_in_parts_and_shares(tmp_path: Path, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_LARGE", 4000), ("_PART", 2000), ("_LEAST_PART", 250), ("_LEAST_SHARE", 600)):
        monkeypatch.setattr(folder_files, name, value)
    text = line * (12_000 // len(line))
    folder = make(tmp_path, **{"big.txt": text})
    wanted = spec(tmp_path, folder, overlap_tokens=0)
    plan = open_source(wanted).plan()
    pieces = list(folder_files.pieces([(folder / "big.txt", "big.txt")]))
    assert len({piece.start for piece in pieces}) >= 3
    assert max(piece.stop for piece in pieces) == len(text.encode())
    chunks, rejects = read_all(wanted, plan)
    assert not rejects
    assert len({chunk["chunk_id"] for chunk in chunks}) == len(chunks)
    assert "".join("".join(c["text"] for c in chunks).split()) == "".join(text.split())
    if "\n" in line:
        last = chunks[-1]
        assert int(last["place"].split(":")[1]) == text.count("\n") + 1 - last["text"].count("\n") - 1


def test_units_in_any_order(tmp_path: Path) -> None:
    folder = make(tmp_path, **{f"{i:03}.md": f"# T{i}\n" + "some words here. " * (i * 6) + "end" for i in range(60)})
    wanted = spec(tmp_path, folder)
    plan = open_source(wanted).plan()
    worker = open_source(wanted, word_spans)
    forward = [worker.read(unit, NullMeter()).chunks for unit in plan.units]
    backward = [worker.read(unit, NullMeter()).chunks for unit in reversed(plan.units)][::-1]
    assert all(a.equals(b) for a, b in zip(forward, backward, strict=True))
    assert len(plan.units) > 5


def test_what_counts_as_a_document(tmp_path: Path) -> None:
    skipped: Counter[str] = Counter()
    folder = make(tmp_path, **{"README": "x", "Makefile": "x", "a.PY": "x", "b.exe": "x", "c": "x"})
    labels = [label for _, label in folder_files.document_files([folder], skipped)]
    assert labels == ["Makefile", "README", "a.PY"]
    assert skipped == {"of another kind": 2}
