"""`workbench verify` and `workbench index` on a real collection, with the real FAISS in its own process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.made import make_collection
from workbench.cli.main import main
from workbench.core import paths


@pytest.fixture
def collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path / "home"))
    return make_collection(tmp_path / "mäde.collection", rows=60)


def run_json(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict]:
    code = main([*words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))


def test_index_of_another_kind_then_a_flipped_bit_is_found_and_mended(
    collection: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, report = run_json(capsys, "index", "--in", str(collection), "--kind", "HNSW8", "--sample", "20")
    assert code == 0
    assert report["index"]["kind"] == "HNSW8" and report["index"]["recall_at_10"] > 0.5
    assert report["before"] == {} and report["index"].pop("p50_ms") > 0
    assert run_json(capsys, "info", "--in", str(collection))[1]["index"] == report["index"]
    code, again = run_json(capsys, "index", "--in", str(collection), "--kind", "HNSW16")
    assert (code, again["before"]["kind"], again["index"]["kind"]) == (0, "HNSW8", "HNSW16")
    assert again["before"]["p50_ms"] > 0
    code, found = run_json(capsys, "verify", "--in", str(collection))
    assert (code, found["whole"], found["rows"]) == (0, True, 180)

    (index,) = (collection / "ann").glob("*.faiss")
    flip(index)
    code, found = run_json(capsys, "verify", "--in", str(collection), "--repair")
    assert (code, found["whole"]) == (0, True) and found["repaired"] == ["built the FAISS index again"]


def test_a_damaged_shard_is_named_and_taken_out_only_when_asked(
    collection: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shard = sorted((collection / "shards").glob("*.vectors.arrow"))[1]
    flip(shard)
    assert main(["verify", "--in", str(collection)]) == 1
    out = capsys.readouterr().out
    assert f"shards/{shard.name}: SHA-256 differs" in out and "--repair --drop" in out
    assert main(["verify", "--in", str(collection), "--repair", "--drop"]) == 0
    assert "whole" in capsys.readouterr().out
    assert run_json(capsys, "info", "--in", str(collection))[1]["chunks"] == 120


def test_a_lost_current_is_mended(collection: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (collection / "CURRENT").unlink()
    assert main(["verify", "--in", str(collection), "--repair"]) == 0
    capsys.readouterr()
    assert run_json(capsys, "info", "--in", str(collection))[1]["chunks"] == 180


def test_wrong_use_is_one_line(collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["verify", "--drop", "--in", str(collection)],
        ["verify", "--in", str(tmp_path)],
        ["index", "--in", str(collection), "--kind", "Nonsense"],
        ["index", "--in", str(collection), "--sample", "3"],
        *(["index", "--in", str(collection), *words] for words in (
            ["--anew"], ["--apply"], ["--kinds", "Flat"], ["--plot", "x.svg"], ["--target", "0"], ["--rows", "2000"],
            ["--prefer", "fastest"], ["--text", "--apply"], ["--text", "--tune"], ["--tune", "--anew"],
            ["--text", "--kind", "Flat"], ["--tune", "--sample", "50"], ["--tune", "--rescore", "2"],
        )),
    ):
        assert main(words) == 2, words
        assert capsys.readouterr().err.count("\n") == 1


def test_an_option_of_other_work_is_named_and_nothing_is_built(
    collection: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, said in ((["--anew"], "--anew goes with --text"), (["--apply"], "--apply goes with --tune"),
                        (["--text", "--kind", "SQ8"], "--kind does not go with --text")):
        assert main(["index", "--in", str(collection), *words]) == 2
        assert said in capsys.readouterr().err
    assert run_json(capsys, "info", "--in", str(collection))[1]["index"]["kind"] == "none"
    assert run_json(capsys, "index", "--in", str(collection), "--text", "--anew")[1]["text"]["documents"] == 180


def test_faiss_stays_out_of_this_process(collection: Path) -> None:
    code = (
        "import sys\nfrom workbench.cli.main import main\nif __name__ == '__main__':\n"
        f"    assert main(['index', '--kind', 'HNSW8', '--sample', '20', '--in', {str(collection)!r}]) == 0\n"
        f"    assert main(['verify', '--in', {str(collection)!r}]) == 0\n"
        "    assert not {'faiss', 'torch', 'transformers'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
