"""Choosing the source, and what a worker pays for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sources.helpers import read_all, spec, write
from workbench.core.activity import Activity
from workbench.core.errors import UsageError
from workbench.sources.cutting import Stretch, cut, joined, limited
from workbench.sources.registry import open_source


def test_kinds(tmp_path: Path) -> None:
    table = write(tmp_path / "a.parquet", {"text": ["x"]})
    (tmp_path / "n.md").write_text("x", encoding="utf-8")
    (tmp_path / "z.zip").write_bytes(b"PK")
    (tmp_path / "t.txt.gz").write_bytes(b"x")
    assert spec(tmp_path).kind == "stdlib"
    assert spec(tmp_path, table).kind == "records"
    assert spec(tmp_path, table, docs=table).kind == "tables"
    assert spec(tmp_path, tmp_path / "n.md").kind == "folder"
    assert spec(tmp_path, tmp_path).kind == "folder"
    for inputs, docs, says in (
        ([tmp_path / "gone"], None, "no such file"), ([table, tmp_path / "n.md"], None, "runs of their own"),
        ([], table, "chunk table"), ([tmp_path / "n.md"], table, "no .parquet file"),
        ([tmp_path / "t.txt.gz"], None, "Unpack it"),
    ):
        with pytest.raises(UsageError, match=says):
            spec(tmp_path, *inputs, docs=docs)


def test_time_is_booked(tmp_path: Path) -> None:
    from contextlib import nullcontext

    seen = []

    class Meter:
        def doing(self, activity: Activity) -> nullcontext[None]:
            seen.append(activity)
            return nullcontext()

        def add(self, counter: object, amount: int) -> None:
            raise AssertionError("bytes are counted by who reads")

    wanted = spec(tmp_path, write(tmp_path / "a.parquet", {"text": ["x"]}))
    source = open_source(wanted)
    source.read(source.plan().units[0], Meter())
    assert seen == [Activity.READ, Activity.SLICE]


def test_cutting() -> None:
    even = cut([Stretch(1000, 1000)], 300, 10_000)
    assert even == [(0, 250, 250), (250, 500, 250), (500, 750, 250), (750, 1000, 250)]
    small = cut([Stretch(10, 10)] * 10, 25, 1000)
    assert [(a, b) for a, b, _ in small] == [(0, 20), (20, 40), (40, 60), (60, 80), (80, 100)]
    assert cut([Stretch(2, 5000)], 100, 1000) == [(0, 1, 2500), (1, 2, 2500)]
    assert joined([Stretch(5, 50)] * 5, 10, 1000) == [(0, 2), (2, 4), (4, 5)]
    assert limited([Stretch(10, 100), Stretch(10, 100)], 15) == [Stretch(10, 100), Stretch(5, 50)]
    assert limited([Stretch(10, 100)], 10) == [Stretch(10, 100)]


def test_units_follow_the_rows(tmp_path: Path) -> None:
    few = write(tmp_path / "few.parquet", {"text": ["x"] * 20})
    assert [unit.rows for unit in open_source(spec(tmp_path, few)).plan().units] == [20]
    many = write(tmp_path / "many.parquet", {"text": ["x"] * 20_000}, row_group_size=100)
    units = open_source(spec(tmp_path, many)).plan().units
    assert 64 <= len(units) <= 100
    assert len(read_all(spec(tmp_path, many))[0]) == 20_000


def test_a_worker_loads_nothing_heavy(tmp_path: Path) -> None:
    chunks = write(tmp_path / "c.parquet", {"doc_id": ["a"], "start": [0], "end": [1]})
    docs = write(tmp_path / "d.parquet", {"doc_id": ["a"], "text": ["text"]})
    code = (
        "import sys, json\nfrom pathlib import Path\nfrom tests.sources.helpers import spec, read_all\n"
        "base = Path(sys.argv[1])\n"
        "read_all(spec(base, base / 'c.parquet', docs=base / 'd.parquet'))\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, encoding="utf-8", check=True
    )
    loaded = set(json.loads(ran.stdout))
    # not pandas: pyarrow imports it by itself for any array where it is installed (it is a development extra)
    heavy = {"torch", "transformers", "faiss", "textual", "pyarrow.dataset", "pyarrow.csv"}
    assert not heavy & loaded
    assert not [name for name in loaded if name.startswith(("workbench.engine", "workbench.sources.stdlib"))]
    assert chunks.exists()
    assert docs.exists()
