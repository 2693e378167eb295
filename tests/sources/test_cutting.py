"""How tables are cut when more than text lies in them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sources.helpers import read_all, spec, write
from workbench.core.activity import NullMeter
from workbench.sources import cutting
from workbench.sources.cutting import Stretch, cut
from workbench.sources.registry import open_source

PICTURE = 65_536


@pytest.mark.parametrize("group", [7, 40, 400])
@pytest.mark.parametrize("kind", ["records", "tables", "csv"])
def test_a_unit_of_a_table_with_pictures_is_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: int, kind: str
) -> None:
    monkeypatch.setattr(cutting, "_WIDE", 1_000_000)
    columns = {"text": [f"text {n}" for n in range(100)], "picture": [bytes([n]) * PICTURE for n in range(100)]}
    if kind == "csv":
        path = tmp_path / "t.csv"
        path.write_text("text,picture\n" + f"text,{'x' * PICTURE}\n" * 100, encoding="utf-8")
        wanted = spec(tmp_path, path, unit_bytes=10_000)
    elif kind == "tables":
        docs = write(tmp_path / "docs.parquet", {"doc_id": ["a"], "text": ["some text"]})
        offsets = {"doc_id": ["a"] * 100, "start": [0] * 100, "end": [4] * 100, "picture": columns["picture"]}
        chunks = write(tmp_path / "t.parquet", offsets, row_group_size=group, use_dictionary=False)
        wanted = spec(tmp_path, chunks, docs=docs, unit_bytes=10_000)
    else:
        table = write(tmp_path / "t.parquet", columns, row_group_size=group, use_dictionary=False)
        wanted = spec(tmp_path, table, unit_bytes=10_000)
    plan = open_source(wanted).plan()
    worker = open_source(wanted)
    sizes = [worker.read(unit, NullMeter()).chunks.nbytes for unit in plan.units]
    assert max(sizes) < 1_200_000
    assert len(sizes) < 20, "not smaller than it must be"
    assert plan.nbytes < 10_000, "bytes of text, not of pictures"
    assert len(read_all(wanted, plan)[0]) == 100


STRETCHES = st.lists(
    st.builds(lambda rows, text, times: Stretch(rows, text, text * times), st.integers(1, 20_000),
              st.integers(0, 40_000_000), st.integers(1, 30)), max_size=12,
)


@settings(max_examples=300, deadline=None)
@given(STRETCHES, st.sampled_from([256, 8192]), st.sampled_from([100_000, 8_000_000, 100_000_000]))
def test_other_columns_matter_only_where_a_unit_would_be_large(
    stretches: list[Stretch], rows: int, nbytes: int
) -> None:
    plain = cut([Stretch(one.rows, one.nbytes) for one in stretches], rows, nbytes)
    found = cut(stretches, rows, nbytes)
    assert [stop for _, stop, _ in found][:-1] == [start for start, _, _ in found][1:]
    assert sum(stop - start for start, stop, _ in found) == sum(one.rows for one in stretches)
    most = max(64_000_000, 8 * nbytes)
    edges = [0]
    for one in stretches:
        edges.append(edges[-1] + one.rows)

    def whole(start: int, stop: int) -> float:
        parts = zip(edges, edges[1:], stretches, strict=False)
        return sum(one.whole * max(0, min(b, stop) - max(a, start)) / one.rows for a, b, one in parts)

    for start, stop, _ in found:
        assert whole(start, stop) <= most * 1.01 + max((one.whole / one.rows for one in stretches), default=0)
    if all(whole(start, stop) <= most * 0.99 for start, stop, _ in plain):
        assert found == plain
