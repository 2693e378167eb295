"""Kept units come back as they were, and are packed anew as an encoder would have them packed."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from workbench.diagnose import prepared
from workbench.diagnose.prepared import Packing
from workbench.encoders.base import EncoderInfo


def unit(folder, number, lengths, texts=()):
    """Rows of the given lengths, two in a batch; the ids of row i are i + 1."""
    rows = np.arange(len(lengths))
    batches = []
    for begin in range(0, len(lengths), 2):
        part = rows[begin : begin + 2]
        sizes = np.asarray(lengths, np.int32)[part]
        batches.append((np.repeat(part + 1, sizes).astype(np.int32), sizes, part.astype(np.int32)))
    prepared.keep(folder, number, batches, [text.encode() for text in texts])


def info(budget, *, pads):
    return EncoderInfo("simulated", "cpu", "cpu", "fp32", "m", 4, token_budget=budget, pads=pads)


def test_units_come_back_as_they_were(tmp_path):
    unit(tmp_path, 3, [5, 2, 4], ["one", "zwei", "三"])
    unit(tmp_path, 7, [1])
    first, second, third = prepared.kept(tmp_path)
    assert first.ids.tolist() == [1] * 5 + [2] * 2 and first.texts == ("one", "zwei")
    assert second.ids.tolist() == [3] * 4 and second.texts == ("三",)
    assert third.lengths.tolist() == [1] and third.texts == ()
    assert prepared.sizes(tmp_path) == [(3, 3, 11), (7, 1, 1)]
    fixed = prepared.repacked(tmp_path, Packing("rows", 99), info(2, pads=True))
    assert [batch.lengths.tolist() for batch in fixed] == [[5, 2], [4], [1]]


def test_a_unit_without_rows_is_left_out(tmp_path):
    unit(tmp_path, 1, [])
    unit(tmp_path, 2, [3])
    assert prepared.sizes(tmp_path) == [(2, 1, 3)] and len(prepared.kept(tmp_path)) == 1


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=40), budget=st.integers(30, 200), pads=st.booleans())
def test_repacked_rows_keep_their_tokens_and_the_encoders_budget(tmp_path_factory, lengths, budget, pads):
    folder = Path(tmp_path_factory.mktemp("kept"))
    unit(folder, 0, lengths, [f"text {n + 1}" for n in range(len(lengths))])
    batches = prepared.repacked(folder, Packing("tokens", 7), info(budget, pads=pads))
    seen = []
    for batch in batches:
        rows = np.split(batch.ids, np.cumsum(batch.lengths)[:-1])
        assert [f"text {row[0]}" for row in rows] == list(batch.texts)
        assert [len(set(row.tolist())) for row in rows] == [1] * len(rows)
        seen += [(int(row[0]), len(row)) for row in rows]
        assert len(rows) <= 7
        assert (int(batch.lengths.max()) * len(rows) if pads else len(batch.ids)) <= budget
    assert sorted(seen) == [(n + 1, length) for n, length in enumerate(lengths)]
