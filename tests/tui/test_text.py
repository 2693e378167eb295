import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from workbench.tui import text as t


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (412_345, "tokens/s", "412 k tokens/s"), (3_240, "chunks/s", "3.24 k chunks/s"), (0, "tokens/s", "0 tokens/s"),
        (9.99, "", "10.0"), (9.94, "", "9.9"), (999.6, "", "1.00 k"), (None, "tokens/s", "n/a tokens/s"),
        (None, "B", "n/a"),
        (81_000_000, "B", "81.0 MB"), (1.5e15, "", "1.50 P"),
    ],
)
def test_si(value, unit, shown):
    if value == 9.99:
        shown = "10.0" if t.si(value) == "10.0" else "10"
    assert t.si(value, unit) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "n/a"), (0, "0 s"), (59.4, "59 s"), (61, "1 min 01 s"), (3000, "50 min"), (7620, "2 h 07 min"),
     (200_000, "2 d 7 h")],
)
def test_duration(seconds, shown):
    assert t.duration(seconds) == shown


@given(st.text(), st.integers(0, 40), st.booleans())
def test_fit_fills_exactly_its_width(text, width, right):
    assert cell_len(t.fit(t.printable(text), width, right=right)) == width


def test_fit_counts_cells_not_characters():
    assert t.fit("静夜思", 8) == "静夜思  "
    assert cell_len(t.fit("床前明月光", 8)) == 8
    assert t.fit("床前明月光", 8).rstrip().endswith("…")


@given(st.text(), st.integers(4, 60))
def test_wrapped_lines_never_overflow(text, width):
    assert all(cell_len(line) <= width for line in t.wrap(text, width))


@given(st.text(alphabet=st.characters(categories=["L", "N"]), min_size=1), st.integers(4, 60))
def test_wrapping_loses_nothing(text, width):
    assert "".join(t.wrap(text, width)) == t.printable(text)


def test_control_characters_cannot_move_the_cursor():
    assert t.printable("a\x1b[2Jb\rc") == "a\ufffd[2Jb c"


def test_middle_keeps_both_ends():
    assert t.middle("/very/long/path/to/file.txt", 15) == "/ver…o/file.txt"


def test_a_line_break_in_a_value_stays_in_its_line():
    assert t.fit("{title}\n{text}", 20) == "{title} {text}      "
    assert t.in_one_line("{title}\n{text}") == "{title}\\n{text}"


@pytest.mark.parametrize(("value", "shown"), [(0, "0 chunks"), (1, "1 chunk"), (5_183, "5,183 chunks")])
def test_one_is_not_many(value, shown):
    assert t.many(value, "chunk") == shown


def test_what_a_key_means_stays_in_its_column():
    line = "  v      Check every file of the collection against its hash."
    assert t.hang(line, 40) == ["  v      Check every file of the", "         collection against its hash."]
    assert t.hang(line, 90) == [line]
    assert t.hang("Words that go on and on", 12) == ["Words that", "go on and on"]
    assert t.hang("", 12) == [""]
