"""`workbench info` and `workbench export` on a real collection."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.cli.made import DIM, IDENTITY, make_collection, vectors
from workbench.cli.main import main
from workbench.core import paths


@pytest.fixture
def collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path / "home"))
    return make_collection(tmp_path / "mäde.collection")


def test_info_says_what_is_there(collection: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--in", str(collection), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["chunks"], content["tokens"], content["rejects"], content["shards"]) == (15, 105, 0, 3)
    assert (content["dim"], content["dtype"], content["identity"]) == (DIM, "float16", IDENTITY)
    assert content["sources"][0]["title"] == "made.jsonl"
    assert content["index"] == {"kind": "none", "recall_at_10": None}
    files = list((collection / "shards").iterdir())
    assert content["bytes"]["total"] == sum(file.stat().st_size for file in files)
    assert main(["info", "--in", str(collection)]) == 0
    out = capsys.readouterr().out
    assert "15, 105 tokens" in out and "8 × float16" in out and "made.jsonl" in out


def test_without_in_the_collection_built_last_is_meant(
    collection: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info"]) == 2
    assert "there is no collection yet" in capsys.readouterr().err
    paths.remember_collection(collection)
    assert main(["info"]) == 0
    assert str(collection) in capsys.readouterr().out


def test_info_tells_of_damage_and_goes_on(collection: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (collection / "CURRENT").write_bytes(b"nonsense\n")
    assert main(["info", "--in", str(collection), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["chunks"] == 15 and "CURRENT is damaged" in content["notes"][0]


def test_parquet_has_every_row_once_with_its_vector(collection: Path, tmp_path: Path) -> None:
    target = tmp_path / "öut" / "all.parquet"
    target.parent.mkdir()
    assert main(["export", "--in", str(collection), "--to", str(target)]) == 0
    table = pq.read_table(target)
    assert table.column_names == ["chunk_id", "doc_id", "title", "text", "vector", "place", "year"]
    assert table.column("chunk_id").to_pylist() == [f"{unit}-{row}" for unit in range(3) for row in range(5)]
    assert table.column("text")[3].as_py() == "text 0-3 文"
    assert table.column("year").to_pylist() == [0, 1, 2, 3, 4, *[None] * 5, 0, 1, 2, 3, 4]
    assert table.schema.field("vector").type.list_size == DIM
    exported = np.array(table.column("vector").to_pylist(), dtype=np.float32)
    assert np.array_equal(exported, np.vstack([vectors(unit, 5) for unit in range(3)]).astype(np.float32))
    assert [file.name for file in target.parent.iterdir()] == ["all.parquet"]


def test_npy_has_the_vectors_and_the_ids_beside_them(
    collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "v.npy"
    assert main(["export", "--in", str(collection), "--to", str(target), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["rows"], report["dim"]) == (15, DIM)
    matrix = np.load(target)
    assert matrix.dtype == np.float16 and np.array_equal(matrix[5:10], vectors(1, 5))
    ids = (tmp_path / "v.ids.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in ids] == [f"{unit}-{row}" for unit in range(3) for row in range(5)]


def test_nothing_is_replaced_unasked(collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "v.ids.jsonl"
    target.write_bytes(b"mine")
    words = ["export", "--in", str(collection), "--to", str(tmp_path / "v.npy")]
    assert main(words) == 2
    assert "--yes" in capsys.readouterr().err
    assert target.read_bytes() == b"mine" and not (tmp_path / "v.npy").exists()
    assert main([*words, "--yes"]) == 0
    assert len(target.read_text(encoding="utf-8").splitlines()) == 15


def test_wrong_use_is_one_line(collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_bytes(b"")
    for words in (
        ["export", "--in", str(collection)],
        ["export", "--in", str(collection), "--to", "x.csv"],
        ["export", "--in", str(tmp_path), "--to", str(tmp_path / "x.npy")],
        ["info", "--in", str(tmp_path / "nothing")],
    ):
        assert main(words) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert main(["export", "--in", str(collection), "--to", str(tmp_path / "file" / "x.npy")]) in (1, 2)
    assert capsys.readouterr().err.count("\n") == 1


def test_a_damaged_shard_is_not_left_out_in_silence(
    collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    next((collection / "shards").glob("*.vectors.arrow")).unlink()
    assert main(["export", "--in", str(collection), "--to", str(tmp_path / "x.parquet")]) == 1
    assert "is missing" in capsys.readouterr().err
    assert not (tmp_path / "x.parquet").exists()
