"""More files than a process may have open."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.sources.helpers import read_all, spec, write
from workbench.core.activity import NullMeter
from workbench.core.errors import UsageError
from workbench.sources import files
from workbench.sources.registry import open_source

FILES = 90
_READ = f"""
import resource, sys
from pathlib import Path
from tests.sources.helpers import read_all, spec
resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES // 2}, {FILES // 2}))
here = Path(sys.argv[1])
docs = here / "docs.parquet"
paths = sorted(path for path in (here / "tables").iterdir())
chunks, rejects = read_all(spec(here, *paths, docs=docs if docs.exists() else None))
print(len(chunks), len(rejects))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit to lower")
@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl", "tables"])
def test_more_files_than_may_be_open(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    for number in range(FILES):
        if kind == "parquet":
            write(folder / f"{number:03}.parquet", {"text": [f"text {number}", "more"], "n": [1, 2]})
        elif kind == "tables":
            write(folder / f"{number:03}.parquet", {"doc_id": ["a", "a"], "start": [0, 1], "end": [4, 4]})
        elif kind == "csv":
            (folder / f"{number:03}.csv").write_text(f"text,n\ntext {number},1\nmore,2\n", encoding="utf-8")
        else:
            (folder / f"{number:03}.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n', encoding="utf-8")
    if kind == "tables":
        write(tmp_path / "docs.parquet", {"doc_id": ["a"], "text": ["some text"]})
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(tmp_path)], capture_output=True, text=True, encoding="utf-8", timeout=120,
        check=False,
    )
    assert done.stdout.split() == [str(2 * FILES), "0"], done.stderr


def two_tables(tmp_path: Path, rows: int = 4000) -> list[Path]:
    columns = {"text": [f"text {n}" for n in range(rows)]}
    return [write(tmp_path / f"{name}.parquet", columns, row_group_size=rows) for name in "ab"]


def test_a_file_is_opened_once_more_to_be_read_and_not_for_each_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = spec(tmp_path, *two_tables(tmp_path))
    plan = open_source(wanted).plan()
    opened: Counter[str] = Counter()
    footers: Counter[str] = Counter()
    real = files.open_parquet

    def counted(path: Path, footer: Any = None) -> pq.ParquetFile:
        opened[path.name] += 1
        footers[path.name] += footer is None
        return real(path, footer)

    monkeypatch.setattr(files, "open_parquet", counted)
    chunks, _ = read_all(wanted, plan)
    assert len(plan.units) > 20
    assert len(chunks) == 8000
    assert max(opened.values()) <= 2
    assert set(footers.values()) == {1}
    opened.clear()
    alone = spec(tmp_path, tmp_path / "a.parquet")
    read_all(alone, open_source(alone).plan())
    assert opened["a.parquet"] == 2  # by the one that plans and by the one that reads


def test_files_read_in_turns_give_the_same_rows(tmp_path: Path) -> None:
    wanted = spec(tmp_path, *two_tables(tmp_path))
    plan = open_source(wanted).plan()
    half = len(plan.units) // 2
    turns = [unit for pair in zip(plan.units[:half], plan.units[half:], strict=True) for unit in pair]
    worker, other = open_source(wanted), open_source(wanted)
    tables = {unit.number: worker.read(unit, NullMeter()).chunks for unit in turns}
    assert pa.concat_tables(tables[unit.number] for unit in plan.units).equals(
        pa.concat_tables(other.read(unit, NullMeter()).chunks for unit in plan.units)
    )


def test_rows_of_a_csv_outlive_its_closing(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("text\n" + f"text of {name}\n" * 500, encoding="utf-8")
    wanted = spec(tmp_path, tmp_path / "a.csv", tmp_path / "b.csv")
    plan = open_source(wanted).plan()
    worker = open_source(wanted)
    kept = [worker.read(unit, NullMeter()).chunks for unit in plan.units]
    texts = [text for table in kept for text in table.column("text").to_pylist()]
    assert texts == ["text of a"] * 500 + ["text of b"] * 500


def test_a_file_that_changed_since_it_was_closed_is_not_read_with_its_old_footer(tmp_path: Path) -> None:
    first, second = two_tables(tmp_path)
    wanted = spec(tmp_path, first, second)
    plan = open_source(wanted).plan()
    worker = open_source(wanted)
    worker.read(plan.units[0], NullMeter())
    worker.read(plan.units[-1], NullMeter())
    write(first, {"text": ["other"] * 4000})
    with pytest.raises(UsageError, match=r"a\.parquet: has changed while it was read"):
        worker.read(plan.units[1], NullMeter())
