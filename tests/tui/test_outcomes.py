"""What the commands really print with `--json`, as the screen shows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.made import make_collection
from workbench.cli.main import main
from workbench.tui import outcomes


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    return make_collection(tmp_path / "c.collection", rows=60)


def test_verify_says_whole_or_what_is_damaged_and_what_to_do(collection, capsys):
    assert main(["verify", "--in", str(collection), "--json"]) == 0
    outcome = outcomes.verified(json.loads(capsys.readouterr().out))
    assert outcome.lines[0].startswith("whole: ") and "180 chunks" in outcome.lines[0]
    assert not outcome.problem

    shard = sorted((collection / "shards").glob("*.vectors.arrow"))[1]
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    assert main(["verify", "--in", str(collection), "--json"]) == 1
    problem = outcomes.verified(json.loads(capsys.readouterr().out)).problem
    assert problem.startswith("1 damaged")
    assert f"shards/{shard.name}: SHA-256 differs" in problem
    assert "--repair" in problem


def test_a_rebuilt_index_stands_beside_the_one_before(collection, capsys):
    rebuild = ["index", "--in", str(collection), "--sample", "20", "--json", "--kind"]
    assert main([*rebuild, "HNSW8"]) == 0
    first = outcomes.rebuilt(json.loads(capsys.readouterr().out)).lines
    assert first[0].split() == ["now"]
    assert main([*rebuild, "Flat"]) == 0
    heads, *rows = (line.split() for line in outcomes.rebuilt(json.loads(capsys.readouterr().out)).lines)
    assert heads == ["now", "before"]
    assert rows[0] == ["index", "Flat", "HNSW8"]
    shown = {row[0]: row for row in rows}
    assert shown["recall@10"][1] == "1.0000"
    assert shown["one"][3] == shown["one"][5] == "ms"  # one search 0.01 ms 0.02 ms


def test_the_doctors_findings_have_state_name_text_and_remedy(capsys):
    main(["doctor", "--json"])
    content = json.loads(capsys.readouterr().out)
    rows = outcomes.findings(content).value
    assert len(rows) == len(content["findings"]) > 3
    assert {row[0] for row in rows} <= {"ok", "warning", "problem"}
    assert all(name and text for _, name, text, _ in rows)


def test_an_export_names_its_files(collection, tmp_path, capsys):
    assert main(["export", "--in", str(collection), "--to", str(tmp_path / "all.npy"), "--json"]) == 0
    (line,) = outcomes.exported(json.loads(capsys.readouterr().out)).lines
    assert line.startswith("180 rows, ")
    assert "all.npy" in line and "all.ids.jsonl" in line
