"""Offsets against Python's own slicing, over random Unicode."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.text import slicing

# one, two, three and four bytes per character, and what joins with its neighbour
CHARACTERS = st.sampled_from("a \nzéßжא中文한，😀𝒳🏳️\u0301\u200d\U0010ffff")
TEXTS = st.one_of(
    st.text(CHARACTERS, max_size=700), st.text(max_size=300), st.text(st.characters(max_codepoint=127), max_size=400)
)


def documents(texts: list[str]) -> slicing.Documents:
    offsets, data = slicing.string_parts(pa.array(texts, pa.large_string()))
    return slicing.mark(data, offsets)


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=6), st.data())
def test_any_slice_equals_pythons(texts: list[str], data: st.DataObject) -> None:
    found = documents(texts)
    assert found.chars.tolist() == [len(text) for text in texts]
    rows = st.integers(0, len(texts) - 1).flatmap(
        lambda row: st.tuples(st.just(row), st.integers(0, len(texts[row])), st.integers(0, len(texts[row])))
    )
    wanted = data.draw(st.lists(rows, min_size=1, max_size=40))
    number = np.array([row for row, _, _ in wanted], dtype=np.int64)
    start = np.array([min(a, b) for _, a, b in wanted], dtype=np.int64)
    end = np.array([max(a, b) for _, a, b in wanted], dtype=np.int64)
    begin, stop = found.byte_offsets(number, start), found.byte_offsets(number, end)
    column = slicing.gather([found.data.data], np.zeros(len(wanted), dtype=np.int64), begin, stop)
    column.validate(full=True)
    assert column.to_pylist() == [texts[row][a:b] for row, a, b in zip(number, start, end, strict=True)]


@pytest.mark.parametrize("step", [1, 7, 128, 1000])
def test_marks_do_not_depend_on_the_step_of_the_pass(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["x" * 300, "é中😀" * 200, "", "plain", "😀" * 129, "中"]
    before = documents(texts)
    monkeypatch.setattr(slicing, "_STEP", step)
    after = documents(texts)
    assert np.array_equal(before.marks, after.marks)
    assert np.array_equal(before.chars, after.chars)
    assert after.chars.tolist() == [len(text) for text in texts]


def test_every_offset_of_a_long_document() -> None:
    text = "".join(chr(0x61 + i % 26) if i % 5 else chr(0x1F600 + i % 50) for i in range(5000))
    found = documents(["é", text, "z"])
    at = np.arange(len(text) + 1, dtype=np.int64)
    begin = found.byte_offsets(np.ones_like(at), at)
    sizes = [len(character.encode()) for character in text]
    assert begin.tolist() == (2 + np.concatenate(([0], np.cumsum(sizes)))).tolist()


def test_pure_ascii_documents_have_no_marks() -> None:
    found = documents(["plain " * 100, "caf\u00e9"])
    assert np.diff(found.mark_offsets).tolist() == [0, 1]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.text(max_size=5), st.text(" \t\n\u00a0\u3000\u2003x", max_size=4)), max_size=20)
)
def test_blank_is_what_strip_leaves_empty(texts: list[str | None]) -> None:
    column = pa.array(texts, pa.large_string())
    assert slicing.blank(column).tolist() == [text is None or not text.strip() for text in texts]


def test_blank_of_a_slice_of_an_array() -> None:
    column = pa.array(["x", " ", "", None, "y"], pa.large_string()).slice(1, 3)
    assert slicing.blank(column).tolist() == [True, True, True]
