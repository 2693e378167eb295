import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.tui.glyphs import ASCII, BLOCKS, BRAILLE, choose
from workbench.tui.widgets.graph import columns_of, nice_top, rows

SETS = pytest.mark.parametrize("glyphs", [BRAILLE, BLOCKS, ASCII], ids=lambda g: g.name)


@SETS
def test_a_steady_hundred_is_full_and_a_zero_is_empty(glyphs):
    full = rows([100.0] * columns_of(5, glyphs), 3, 100.0, glyphs)
    assert full == [("⣿" if glyphs.braille else glyphs.levels[-1]) * 5] * 3
    assert rows([0.0] * columns_of(5, glyphs), 2, 100.0, glyphs) == ["     "] * 2
    assert rows([None] * columns_of(5, glyphs), 2, 100.0, glyphs) == ["     "] * 2


@SETS
def test_the_scale_does_not_depend_on_what_is_shown(glyphs):
    alone = rows([50.0] * 4, 2, 100.0, glyphs)
    beside = rows([50.0] * 4 + [100.0] * 4, 2, 100.0, glyphs)
    half = columns_of(1, glyphs)
    assert [row[: 4 // half] for row in beside] == alone


@SETS
@given(values=st.lists(st.one_of(st.none(), st.floats(0, 200)), max_size=80), height=st.integers(1, 6))
def test_every_row_has_the_same_width_and_more_is_never_less(glyphs, values, height):
    drawn = rows(values, height, 100.0, glyphs)
    assert len(drawn) == height
    assert len({len(row) for row in drawn}) == 1


@SETS
def test_little_is_not_nothing(glyphs):
    assert rows([0.1] * columns_of(1, glyphs), 1, 100.0, glyphs) != [" "]


@given(st.floats(0.001, 1e12))
def test_the_top_of_a_scale_is_round_and_above(highest):
    top = nice_top(highest)
    assert highest * 0.999 <= top <= highest * 2.01


def test_signs_are_chosen_by_the_terminal():
    assert choose("auto", environment={"TERM": "xterm-256color"}, encoding="utf-8", platform="linux") is BRAILLE
    assert choose("auto", environment={"TERM": "linux"}, encoding="utf-8", platform="linux") is ASCII
    assert choose("auto", environment={}, encoding="cp1252", platform="win32") is ASCII
    assert choose("auto", environment={}, encoding="utf-8", platform="win32") is BLOCKS
    assert choose("auto", environment={"WT_SESSION": "x"}, encoding="utf-8", platform="win32") is BRAILLE
    assert choose("ascii", environment={"TERM": "xterm"}, encoding="utf-8") is ASCII
    assert all(ord(char) < 128 for name in ASCII.__dataclass_fields__ for char in str(getattr(ASCII, name)))
