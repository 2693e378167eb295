"""Filters on a real collection, against plain Python over the same rows."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest

from tests.search import making
from workbench.collection.reader import Collection
from workbench.core.errors import UsageError
from workbench.search.filters import Filters

ROWS = 40
AUTHORS = ["Li Bai", "Du Fu", None, "Wang Wei"]


@pytest.fixture(scope="module")
def filters(tmp_path_factory, maker):
    path = tmp_path_factory.mktemp("filters") / "c"
    writer = making.open_writer(path, maker)
    for unit in range(2):
        first = unit * ROWS // 2
        numbers = range(first, first + ROWS // 2)
        columns = {
            "year": [700 + n for n in numbers], "author": [AUTHORS[n % 4] for n in numbers],
            "score": [n / 10 for n in numbers], "good": [n % 3 == 0 for n in numbers],
            "large": [2**60 + n for n in numbers],
            "huge": pa.array([2**63 + n for n in numbers], pa.uint64()),
            "day": [datetime.date(2024, 1, 1) + datetime.timedelta(days=n) for n in numbers],
        }
        if unit:  # a column the other shard does not have
            columns["late"] = ["x"] * len(numbers)
        texts = [f"text {n}" for n in numbers]
        making.add_unit(writer, unit, making.table(texts, first, columns), maker.embed(texts))
    writer.close()
    with Collection.open(path) as collection:
        yield Filters(collection)


@pytest.mark.parametrize(("where", "expected"), [
    ("year < 705", lambda n: n < 5),
    ("year >= 705.5", lambda n: n > 5),
    ("author = 'Li Bai' and year < 720", lambda n: n % 4 == 0 and n < 20),
    ("not author = 'Li Bai'", lambda n: n % 4 in (1, 3)),  # nothing is known of null
    ("author is null or good = true", lambda n: n % 4 == 2 or n % 3 == 0),
    ("author in ('Du Fu', 'Wang Wei')", lambda n: n % 2 == 1),
    ("author like '% Fu'", lambda n: n % 4 == 1),
    ("score between 1 and 2", lambda n: 10 <= n <= 20),
    (f"large < {2**60 + 7}", lambda n: n < 7),  # float64 does not tell these apart
    ("large < 1e18", lambda n: False), ("large >= 1152921504606846976.0", lambda n: True),  # 2 ** 60
    ("large > 1e17 and large < 1e30", lambda n: True), ("large > 0.5", lambda n: True),
    (f"huge >= {2**63 + 9}", lambda n: n >= 9), ("huge < 1e300 and huge > 1.5", lambda n: True),
    ("year < 705.0", lambda n: n < 5), ("year < 1e999", lambda n: True),
    ("day >= '2024-01-31'", lambda n: n >= 30),
    ("day = '2024-01-02'", lambda n: n == 1),
    ("late = 'x'", lambda n: n >= 20),
    ("late is null", lambda n: n < 20),
    ("doc = 'd3'", lambda n: n in (6, 7)),
    ("chunk_id = 'c9'", lambda n: n == 9),
    ("path glob 'notes/1?.md'", lambda n: 20 <= n < 40),
    ("place glob 'notes/[01].md:1'", lambda n: n in (0, 2)),
    ("path glob '*/4.*' or text like 'text 1'", lambda n: n in (8, 9, 1)),
    ("path glob 'notes/[!0-8]*'", lambda n: n in (18, 19)), ("path glob '*o*t*/1[]12-].md'", lambda n: 22 <= n < 26),
    (r"path glob 'notes\?.md'", lambda n: n < 20), ("path glob 'notes/[0.md'", lambda n: False),
    ("author glob '*[^x] [BF]?'", lambda n: False), ("author glob '*[!^x] [BF]?'", lambda n: n % 4 == 1),
])
def test_the_rows_a_filter_lets_through(filters, where, expected):
    assert np.flatnonzero(filters.mask(where)).tolist() == [n for n in range(ROWS) if expected(n)]


def test_text_columns_have_room_for_more_than_two_gib(filters):
    """One array of `string` has offsets of 32 bits; joining the shards' columns would overflow."""
    for name in ("chunk_id", "doc_id", "place", "title", "text", "author", "late"):
        assert filters.column(name).type == pa.large_string()
    assert filters.fields.field("author").type == pa.large_string()


@pytest.mark.parametrize(("where", "said"), [
    ("year = 99999999999999999999", "the number is beyond those of year"),
    ("huge > -1", "beyond those of huge"), pytest.param(f"score < 1{'0' * 350}", "beyond those of score", id="digits"),
    ("path glob '[z-a]*'", r"'\[z-a\]\*' is no pattern"),
    ("yeer < 3", "there is no field 'yeer'. The fields are: chunk_id, doc_id, .*year, author"),
    ("year = '3'", "year is a number, not text"), ("author < 3", "author is text, not a number"),
    ("good = 1", "good is true or false, not a number"), ("day > 'soon'", "'soon' is no date"),
    ("year like '7%'", "year is a number, patterns are for text"), ("content_hash = 'x'", "no field 'content_hash'"),
])
def test_what_does_not_fit_is_explained(filters, where, said):
    with pytest.raises(UsageError, match=said) as caught:
        filters.mask(where)
    assert str(caught.value).endswith("\n  ^")
