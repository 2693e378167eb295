"""What a person has deleted stays away, whatever becomes of the input and of the shards, until it is asked back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine import harness
from tests.engine.harness import go
from tests.engine.notes import asked, paragraphs, rows, table, words
from workbench.collection.repair import repair
from workbench.collection.verify import verify
from workbench.core.errors import RunFailed, UsageError
from workbench.search import upkeep


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-9] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.usefixtures("embedded")
def test_units_taken_out_as_damaged_do_not_bring_deleted_documents_back(tmp_path, notes, compacted):
    before = rows(tmp_path / "c")
    assert upkeep.delete(tmp_path / "c", "doc = 'b.md'").deleted == sum(name.startswith("b.md") for name in before) > 0
    if compacted:
        upkeep.compact(tmp_path / "c")
    for shard in sorted((tmp_path / "c" / "shards").glob("*.arrow")):  # every unit, that of the document too
        flip(shard)
    repair(tmp_path / "c", verify(tmp_path / "c"), drop=True)
    assert rows(tmp_path / "c") == {}
    go(asked(tmp_path, notes, "c"))
    assert rows(tmp_path / "c") == {name: row for name, row in before.items() if not name.startswith("b.md")}
    assert go(asked(tmp_path, notes, "c")).chunks == 0


def test_more_rows_in_a_table_do_not_bring_deleted_ones_back(tmp_path, listed):
    upkeep.delete(tmp_path / "c", "year < 4")
    upkeep.compact(tmp_path / "c")
    upkeep.delete(tmp_path / "c", "chunk_id = 'r8'")
    again = go(asked(tmp_path, table(listed, 13), "c"))
    assert (again.chunks, again.removed) == (1, 0)
    assert set(rows(tmp_path / "c")) == {f"r{n}" for n in range(4, 13) if n != 8}


def test_a_deleted_text_stays_away_where_its_place_or_a_column_has_changed(tmp_path, listed):
    upkeep.delete(tmp_path / "c", "year = 3 or year = 4")
    lines = [json.loads(line) for line in listed.read_text(encoding="utf-8").splitlines()]
    lines[3]["year"] = 1903
    lines[4]["text"] = "another text of the same row"
    first = {"id": "first", "text": "all others move by a line", "year": 0}
    listed.write_text("\n".join(map(json.dumps, [first, *lines])), encoding="utf-8", newline="\n")
    go(asked(tmp_path, listed, "c"))
    assert set(rows(tmp_path / "c")) == {"first", *(f"r{n}" for n in range(12) if n != 3)}


def test_of_equal_texts_of_a_document_only_the_deleted_one_stays_away(tmp_path):
    source = tmp_path / "t.jsonl"
    lines = [{"id": f"r{n}", "doc": "one", "text": "the same words", "year": n} for n in range(3)]
    source.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8", newline="\n")
    go(asked(tmp_path, source, "c"))
    upkeep.delete(tmp_path / "c", "chunk_id = 'r0'")
    lines[2]["year"] = 7
    source.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8", newline="\n")
    go(asked(tmp_path, source, "c"))
    assert set(rows(tmp_path / "c")) == {"r1", "r2"}


def test_what_was_gone_from_the_input_does_come_back(tmp_path, listed):
    first = rows(tmp_path / "c")
    upkeep.delete(tmp_path / "c", "year = 5")
    go(asked(tmp_path, table(listed, 3), "c"))
    go(asked(tmp_path, table(listed, 12), "c"))
    assert rows(tmp_path / "c") == {name: row for name, row in first.items() if name != "r5"}


def test_a_unit_of_a_run_that_never_ended_is_embedded_again_without_deleted_rows(tmp_path):
    source = harness.corpus(tmp_path / "rows.jsonl", 96)
    request = harness.request(tmp_path, source, into="c")
    go(request)
    harness.forget_state(tmp_path / "c")
    upkeep.delete(tmp_path / "c", "chunk_id in ('row-3', 'row-30')")
    for victim in sorted((tmp_path / "c" / "shards").glob("*.arrow"))[:2]:
        flip(victim)
    repair(tmp_path / "c", verify(tmp_path / "c"), drop=True)
    go(request)
    assert set(rows(tmp_path / "c")) == {f"row-{n}" for n in range(96) if n not in (3, 30)}
    assert go(request).chunks == 0


@pytest.mark.usefixtures("embedded")
def test_restore_lets_the_next_run_bring_them_back_and_fresh_too(tmp_path, notes):
    before = rows(tmp_path / "c")
    assert upkeep.restore(tmp_path / "c") == 0
    gone = upkeep.delete(tmp_path / "c", "doc = 'b.md' or doc = 'd.md'").deleted
    assert go(asked(tmp_path, notes, "c")).chunks == 0
    assert upkeep.restore(tmp_path / "c") == gone > 0
    assert go(asked(tmp_path, notes, "c")).chunks == gone
    assert rows(tmp_path / "c") == before
    upkeep.delete(tmp_path / "c", "doc = 'b.md'")
    go(replace(asked(tmp_path, notes, "c"), fresh=True))
    assert rows(tmp_path / "c") == before


@pytest.mark.usefixtures("listed")
def test_restore_waits_for_a_run_to_end(tmp_path):
    harness.forget_state(tmp_path / "c")
    upkeep.delete(tmp_path / "c", "year = 1")
    with pytest.raises(UsageError, match="no run has completed"):
        upkeep.restore(tmp_path / "c")


def test_a_damaged_list_is_told_and_never_taken_for_an_empty_one(tmp_path, listed):
    upkeep.delete(tmp_path / "c", "year = 5")
    (file,) = (tmp_path / "c" / "deletions").glob("*.keys")
    flip(file)
    (problem,) = verify(tmp_path / "c").problems
    assert (problem.kind, problem.file) == ("derived", f"deletions/{file.name}") and "come back" in problem.remedy
    table(listed, 13)
    for action in (lambda: upkeep.delete(tmp_path / "c", "year = 6"), lambda: go(asked(tmp_path, listed, "c"))):
        with pytest.raises(RunFailed, match="list of deleted chunks"):
            action()
    assert len(rows(tmp_path / "c")) == 11
    assert ["gave up the list of deleted chunks" in line for line in repair(tmp_path / "c", verify(tmp_path / "c"))]
    assert verify(tmp_path / "c").whole
    go(asked(tmp_path, listed, "c"))
    assert len(rows(tmp_path / "c")) == 13


@pytest.mark.usefixtures("embedded")
def test_a_changed_document_comes_back_without_what_was_deleted_of_it(tmp_path, notes):
    deleted = {words(row) for name, row in rows(tmp_path / "c").items() if name.startswith("b.md")}
    upkeep.delete(tmp_path / "c", "doc = 'b.md'")
    text = (notes / "b.md").read_text(encoding="utf-8")
    (notes / "b.md").write_text(f"{text}\n\n{paragraphs('entirely new', 1)}", encoding="utf-8")
    go(asked(tmp_path, notes, "c"))
    after = [words(row) for name, row in rows(tmp_path / "c").items() if name.startswith("b.md")]
    assert any("entirely new" in text for _, text in after) and not deleted & set(after)
