"""Running again over changed input: equal to a fresh run, and nothing unchanged is embedded again."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine import harness
from tests.engine.harness import go
from tests.engine.notes import asked, paragraphs, rows, words
from workbench.collection.repair import repair
from workbench.collection.verify import verify
from workbench.core.errors import UsageError
from workbench.core.profile import SourceSection
from workbench.engine import update as updating
from workbench.engine.run import Run
from workbench.sources.registry import open_source, source_spec


def test_a_changed_folder_ends_as_a_fresh_run_would(tmp_path, notes):
    first = go(asked(tmp_path, notes, "c"))
    before = rows(tmp_path / "c")
    text = (notes / "a.md").read_text(encoding="utf-8")
    (notes / "a.md").write_text(text.replace("a paragraph 3", "a new thought 3"), encoding="utf-8")
    (notes / "b.md").unlink()
    (notes / "e.md").write_text(f"# e\n\n{paragraphs('e', 3)}", encoding="utf-8")
    again = go(asked(tmp_path, notes, "c"))
    go(asked(tmp_path, notes, "fresh"))
    after = rows(tmp_path / "c")
    assert after == rows(tmp_path / "fresh")
    assert first.unchanged == 0 and again.unchanged == sum(before.get(name) == row for name, row in after.items())
    assert again.unchanged + again.chunks == len(after)
    assert again.removed == sum(after.get(name) != row for name, row in before.items())
    embedded = again.chunks - again.reused
    known = {words(row) for row in before.values()}
    assert embedded == sum(words(row) not in known for row in after.values()) > 0


def test_files_that_have_not_changed_are_not_even_read(notes, tmp_path):
    spec = source_spec([notes], None, SourceSection(), 0, 24, tmp_path / "cache")
    known = open_source(spec).plan()
    (notes / "sub" / "c.md").write_text("# c\n\nshort\n", encoding="utf-8")
    source = open_source(spec)
    whole, changed = source.plan(), source.plan_changes(known.documents)
    assert changed.nbytes == len("# c\n\nshort\n") < whole.nbytes
    assert changed.documents == whole.documents and changed.documents.keys() == known.documents.keys()


@pytest.mark.usefixtures("embedded")
def test_nothing_is_embedded_when_nothing_has_changed(tmp_path, notes):
    again = go(asked(tmp_path, notes, "c"))
    assert (again.chunks, again.tokens, again.outcome) == (0, 0, "done")


@pytest.mark.usefixtures("embedded")
def test_text_that_moves_keeps_its_vector(tmp_path, notes):
    shutil.move(notes / "d.md", notes / "renamed.md")
    again = go(asked(tmp_path, notes, "c"))
    moved = [name for name in rows(tmp_path / "c") if name.startswith("renamed.md")]
    # the title of these chunks is the heading in the file, not its name: the text as embedded is the same
    assert again.tokens == 0 and again.reused == again.chunks == again.removed == len(moved) > 0


@pytest.mark.usefixtures("embedded")
def test_a_limit_throws_nothing_away_that_lies_beyond_it(tmp_path, notes):
    before = rows(tmp_path / "c")
    limited = go(replace(asked(tmp_path, notes, "c"), limit=2))
    assert (limited.tokens, limited.removed) == (0, 0) and rows(tmp_path / "c") == before
    (notes / "a.md").write_text("# a\n\nonly this is left\n", encoding="utf-8")
    (notes / "d.md").unlink()
    limited = go(replace(asked(tmp_path, notes, "c"), limit=1))  # sees a.md alone, so d.md is not known to be gone
    after = rows(tmp_path / "c")
    assert {name.partition("#")[0] for name in after} == {"a.md", "b.md", "sub/c.md", "d.md"}
    assert limited.removed == sum(name.startswith("a.md") for name in before)
    go(asked(tmp_path, notes, "c"))
    go(asked(tmp_path, notes, "fresh"))
    assert rows(tmp_path / "c") == rows(tmp_path / "fresh")


def test_a_limit_on_a_table_throws_nothing_away(tmp_path):
    file = tmp_path / "t.jsonl"
    lines = [json.dumps({"id": f"r{n}", "text": f"row number {n}"}) for n in range(30)]
    file.write_text("\n".join(lines), encoding="utf-8")
    go(asked(tmp_path, file, "c"))
    before = rows(tmp_path / "c")
    limited = go(replace(asked(tmp_path, file, "c"), limit=5))
    assert (limited.tokens, limited.removed) == (0, 0) and rows(tmp_path / "c") == before
    again = go(replace(asked(tmp_path, file, "c"), limit=3))  # still knows what else it holds
    assert (again.tokens, again.removed) == (0, 0) and rows(tmp_path / "c") == before


def test_the_same_limit_with_a_changed_table_deletes_what_is_gone(tmp_path):
    file = tmp_path / "t.jsonl"
    for first in ("r0", "new"):
        lines = [json.dumps({"id": first if n == 0 else f"r{n}", "text": f"row number {n}"}) for n in range(9)]
        file.write_text("\n".join(lines), encoding="utf-8")
        go(replace(asked(tmp_path, file, "c"), limit=5))
    assert sorted(rows(tmp_path / "c")) == ["new", "r1", "r2", "r3", "r4"]


@pytest.mark.parametrize("updated", [False, True])
@pytest.mark.usefixtures("embedded")
def test_units_that_repair_took_out_are_embedded_again_and_nothing_else(tmp_path, notes, updated):
    if updated:
        (notes / "e.md").write_text(f"# e\n\n{paragraphs('e', 3)}", encoding="utf-8")
        go(asked(tmp_path, notes, "c"))
    before = rows(tmp_path / "c")
    victim = sorted((tmp_path / "c" / "shards").glob("*.arrow"))[0]
    victim.write_bytes(victim.read_bytes()[:-9])
    repair(tmp_path / "c", verify(tmp_path / "c"), drop=True)
    left = rows(tmp_path / "c")
    again = go(asked(tmp_path, notes, "c"))
    assert again.chunks == len(before) - len(left) > 0
    assert rows(tmp_path / "c") == before
    assert go(asked(tmp_path, notes, "c")).chunks == 0


@pytest.mark.parametrize("mended", [False, True])
@pytest.mark.usefixtures("embedded")
def test_a_damaged_note_on_the_input_costs_no_embedding(tmp_path, notes, mended):
    (notes / "e.md").write_text(f"# e\n\n{paragraphs('e', 3)}", encoding="utf-8")
    go(asked(tmp_path, notes, "c"))
    before = rows(tmp_path / "c")
    file = max((tmp_path / "c" / "input").iterdir())  # older ones are kept for readers
    file.write_bytes(file.read_bytes()[:-4] + b"....")
    if mended:
        (problem,) = verify(tmp_path / "c").problems
        assert problem.kind == "derived" and "reads the whole input" in problem.remedy
        repair(tmp_path / "c", verify(tmp_path / "c"))
        assert verify(tmp_path / "c").whole
    again = go(asked(tmp_path, notes, "c"))
    assert (again.outcome, again.chunks, again.tokens) == ("done", 0, 0) and rows(tmp_path / "c") == before


def _killed_before_it_remembers(folder: Path, source: Path) -> None:
    updating.remember = lambda *_: os._exit(9)
    go(asked(folder, source, "c"))


def test_a_run_killed_before_it_remembers_its_input_can_be_updated_later(tmp_path, notes):
    asked(tmp_path, notes, "c")  # makes the model
    process = multiprocessing.get_context("spawn").Process(target=_killed_before_it_remembers, args=(tmp_path, notes))
    process.start()
    process.join(120)
    assert process.exitcode == 9
    before = rows(tmp_path / "c")
    assert go(asked(tmp_path, notes, "c")).chunks == 0
    assert rows(tmp_path / "c") == before
    (notes / "e.md").write_text(f"# e\n\n{paragraphs('e', 3)}", encoding="utf-8")
    again = go(asked(tmp_path, notes, "c"))
    assert again.unchanged == len(before) and again.chunks == len(rows(tmp_path / "c")) - len(before) > 0


@pytest.mark.usefixtures("embedded")
def test_removals_alone_need_no_encoder(tmp_path, notes):
    (notes / "d.md").unlink()
    again = go(asked(tmp_path, notes, "c"))
    assert (again.chunks, again.tokens, again.run) == (0, 0, "")
    assert again.removed > 0 and not [name for name in rows(tmp_path / "c") if name.startswith("d.md")]
    go(asked(tmp_path, notes, "fresh"))
    assert rows(tmp_path / "c") == rows(tmp_path / "fresh")


@pytest.mark.usefixtures("embedded")
def test_going_back_and_forth_ends_where_it_should(tmp_path, notes):
    first = rows(tmp_path / "c")
    text = (notes / "a.md").read_text(encoding="utf-8")
    for content in ("# a\n\nsomething else\n", text):
        (notes / "a.md").write_text(content, encoding="utf-8")
        go(asked(tmp_path, notes, "c"))
    assert rows(tmp_path / "c") == first


def test_a_changed_table_row_by_row(tmp_path):
    source = harness.corpus(tmp_path / "rows.jsonl", 300)
    go(harness.request(tmp_path, source, into="c"))
    lines = source.read_text(encoding="utf-8").splitlines()
    table = [json.loads(line) for line in lines]
    table[7]["text"] = "entirely new words"
    table[8]["year"] = 1  # only a column of the user's own
    del table[100]
    table.append({"id": "row-new", "title": "new", "text": "one more row", "year": 2})
    source.write_text("".join(json.dumps(row) + "\n" for row in table), encoding="utf-8", newline="\n")
    again = go(harness.request(tmp_path, source, into="c"))
    go(harness.request(tmp_path, source, into="fresh"))
    assert rows(tmp_path / "c") == rows(tmp_path / "fresh")
    assert again.chunks - again.reused == 2  # row 7 and the new one: nothing else was embedded


@pytest.mark.usefixtures("embedded")
def test_a_killed_update_is_done_by_the_next_run(tmp_path, notes):
    for name in ("a", "b", "d"):
        (notes / f"{name}.md").write_text(f"# {name}\n\n{paragraphs('later ' + name, 8)}", encoding="utf-8")
    stopped = Run(asked(tmp_path, notes, "c"))
    stopped.start()
    while not stopped.done and (stopped.snapshot() is None or stopped.snapshot().progress.units_done == 0):
        time.sleep(0.005)
    stopped.stop(now=True)
    stopped.wait(60)
    again = go(asked(tmp_path, notes, "c"))
    go(asked(tmp_path, notes, "fresh"))
    assert again.outcome == "done"
    assert rows(tmp_path / "c") == rows(tmp_path / "fresh")


@pytest.mark.usefixtures("embedded")
def test_other_settings_cut_everything_anew(tmp_path, notes):
    wider = harness.request(tmp_path, notes, "source.chunk_tokens=48", "source.overlap_tokens=0", into="c")
    go(wider)
    fresh = harness.request(tmp_path, notes, "source.chunk_tokens=48", "source.overlap_tokens=0", into="fresh")
    go(fresh)
    assert rows(tmp_path / "c") == rows(tmp_path / "fresh")


@pytest.mark.usefixtures("embedded")
def test_input_from_another_place_is_still_refused(tmp_path, notes):
    other = tmp_path / "others"
    other.mkdir()
    (other / "x.md").write_text("# x\n\nsomething\n", encoding="utf-8")
    with pytest.raises(UsageError, match="made from other input"):
        go(asked(tmp_path, other, "c"))
