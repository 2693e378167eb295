"""Titles and texts become one string by the template."""

from __future__ import annotations

import pyarrow as pa

from workbench.text.joining import fill, join

TITLES = pa.array(["A", "", None, "天"])
TEXTS = pa.array(["x {title}", "y", "z", "地"], pa.large_string())


def test_default_template_leaves_out_empty_titles():
    assert join(TITLES, TEXTS, "{title}\n{text}") == ["A\nx {title}", "y", "z", "天\n地"]


def test_only_the_two_names_are_filled_in():
    assert join(TITLES, TEXTS, "{x} {title}: {text} {title}%s") == ["{x} A: x {title} A%s", "y", "z", "{x} 天: 地 天%s"]


def test_template_without_title_applies_to_every_row():
    assert join(TITLES, TEXTS, "passage: {text}") == ["passage: x {title}", "passage: y", "passage: z", "passage: 地"]
    assert join(TITLES, TEXTS, "{text}") == ["x {title}", "y", "z", "地"]


def test_chunked_columns_and_single_rows():
    title, text = pa.chunked_array([["a"], ["b"]]), pa.chunked_array([["1", "2"]])
    assert join(title, text, "{title} {text}") == ["a 1", "b 2"]
    assert fill("t", "x", "{title}|{text}") == "t|x"
