from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import UsageError
from workbench.search.where import Among, Both, Compare, Either, IsNull, Matches, Not, WhereError, parse


def test_the_example_of_the_help():
    assert parse("author = 'Li Bai' and year < 760") == Both(
        Compare("author", "=", "Li Bai", 0), Compare("year", "<", 760, 22)
    )


def test_and_binds_closer_than_or_and_not_closest():
    a, b, c = (Compare(name, "=", 1, at) for name, at in (("a", 0), ("b", 9), ("c", 23)))
    assert parse("a = 1 or b = 1 and not c = 1") == Either(a, Both(b, Not(c)))


@pytest.mark.parametrize(("text", "tree"), [
    ("x in (1, 'two', 3.5, true)", Among("x", (1, "two", 3.5, True), 0)),
    ("x not in (1)", Not(Among("x", (1,), 0))),
    ("x LIKE 'a%'", Matches("x", "a%", False, 0)),
    ("path not glob '*.md'", Not(Matches("path", "*.md", True, 0))),
    ("x is null", IsNull("x", 0)),
    ("x IS NOT NULL", Not(IsNull("x", 0))),
    ("x between 1 and 2", Both(Compare("x", ">=", 1, 0), Compare("x", "<=", 2, 0))),
    ('"my column" <> -1.5e3', Compare("my column", "!=", -1500.0, 0)),
    ("x == 'it''s'", Compare("x", "=", "it's", 0)),
    ("((x = .5))", Compare("x", "=", 0.5, 2)),
    ("作者 = '李白'", Compare("作者", "=", "李白", 0)),
])
def test_every_kind_of_test(text, tree):
    assert parse(text) == tree


@pytest.mark.parametrize(("text", "at", "said"), [
    ("", 0, "the filter is empty"), ("year <", 6, "a value is missing"), ("year < 3 x", 9, "'x' was not expected"),
    ("year", 4, "a comparison is missing"), ("(year = 1", 9, "where '\\)' is needed"), ("= 3", 0, "is not the name"),
    ("a = b", 4, "b is no value"), ("a = 'b", 4, "quote is not closed"), ("a ~ 3", 2, "'~' does not belong"),
    ("a like 3", 7, "a pattern is text"), ("a is 3", 5, "is only goes with null"), ("a = 1 and", 9, "ends too early"),
    pytest.param(f"a = {'9' * 9000}", 4, "so many digits", id="digits"),
    ("作者 = 李白", 7, "李白 is no value"), ("a between 1 or 2", 12, "between needs two values"),
])
def test_a_mistake_is_shown_with_a_caret(text, at, said):
    with pytest.raises(WhereError, match=said) as caught:
        parse(text)
    shown, caret = caught.value.shown.split("\n")
    assert (shown, caret) == (text, " " * at + "^")  # two Han signs take four columns
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(text):
    try:
        parse(text)
    except UsageError:
        pass


def test_depth_is_bounded():
    with pytest.raises(UsageError, match="levels"):
        parse("(" * 500 + "a = 1" + ")" * 500)
