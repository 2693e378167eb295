"""Columns of any type are compared as they are stored, without pandas and without an error."""

from __future__ import annotations

import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.collection.plain_values import plain_values
from workbench.collection.shards import write_chunks

FAR = 10**15  # seconds and days of which Python has no date
COLUMNS = {
    "seconds": pa.array([1, 2, FAR, None], pa.timestamp("s")),
    "zoned": pa.array([1, 2, 3, None], pa.timestamp("s", "Europe/Berlin")),
    "micro": pa.array([1, 2, 3, None], pa.timestamp("us", "UTC")),
    "nano": pa.array([1, 2000, 2001, None], pa.timestamp("ns")),
    "span": pa.array([1, 2, FAR, None], pa.duration("s")),
    "nanospan": pa.array([1, 2, 1001, None], pa.duration("ns")),
    "day": pa.array([1, 2, 2**30, None], pa.date32()),
    "long_day": pa.array([0, 86_400_000, 172_800_000, None], pa.date64()),
    "hour": pa.array([1, 2, 3, None], pa.time32("s")),
    "list": pa.array([[1], [2, None, 3], [], None], pa.list_(pa.timestamp("ns"))),
    "large": pa.array([[1], [2, None, 3], [], None], pa.large_list(pa.timestamp("s"))),
    "pair": pa.array([[1, 2], [2, 3], [4, 5], [6, None]], pa.list_(pa.duration("ns"), 2)),
    "struct": pa.array([{"a": 1, "b": "x"}, {"a": None, "b": None}, None, {"a": 9, "b": "y"}],
                       pa.struct([("a", pa.timestamp("s")), ("b", pa.string())])),
    "map": pa.array([[("k", 1)], [], None, [("l", 2)]], pa.map_(pa.string(), pa.timestamp("ns"))),
    "text": pa.array(["a", "", "ß", None]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_values_are_the_same_when_they_have_been_stored(tmp_path, name):
    table = pa.table({name: COLUMNS[name]})
    write_chunks(table, tmp_path / "t.parquet")
    stored = pq.read_table(tmp_path / "t.parquet")
    values = plain_values(table.column(name))
    assert values == plain_values(stored.column(name)) and repr(values) == repr(plain_values(stored.column(name)))
    assert len({repr(value) for value in values}) == 4  # different rows stay different


def test_a_process_without_pandas_has_the_same_values():
    """Workers have none, the parent may have."""
    told = """
import sys
from workbench.engine.libraries import keep_out
if "without" in sys.argv: keep_out("worker")
import pyarrow as pa
from workbench.collection.plain_values import plain_values
print(plain_values(pa.chunked_array([pa.array([1, 2001], pa.timestamp("ns")).cast(pa.timestamp("ns"))])))
"""
    said = [subprocess.run([sys.executable, "-c", told, how], capture_output=True, text=True, encoding="utf-8")
            for how in ("with", "without")]
    assert [one.stdout.strip() for one in said] == ["[1, 2001]"] * 2, [one.stderr for one in said]
