import numpy as np
import pytest

from tests.collection.making import DIM, commit, made, open_writer
from workbench.collection import index_kinds
from workbench.collection.exact import scan
from workbench.collection.index_build import training_rows
from workbench.collection.index_search import Searcher
from workbench.collection.reader import Collection
from workbench.core.errors import UsageError

KINDS = ["Flat", "RaBitQ", "HNSW16", "SQ8", "IVF8,Flat", "RaBitQfs", "PQ8x4fs", "PCA16,SQ8", "PQ", "Matryoshka-24"]


def queries(collection, n=40):
    rng = np.random.default_rng(5)
    own = collection.gather(rng.integers(0, collection.ordinals, n))
    return (own + 0.05 * rng.standard_normal(own.shape)).astype(np.float32)


def recall(searcher, collection, allowed=None, k=10):
    asked = queries(collection)
    found, exact = searcher.search(asked, k, allowed)[0], scan(collection, asked, k, allowed).scores
    return float((found >= exact[:, -1:] - 1e-5).mean())


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return made(tmp_path_factory.mktemp("ünïcode") / "c", units=8, rows=400)


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_find_what_exact_search_finds(path, kind):
    writer = open_writer(path)
    facts = writer.build_index(kind)
    assert writer.has_index
    writer.close()
    assert facts["kind"] == kind
    assert facts["recall_at_10"] >= 0.99
    with Collection.open(path) as collection:
        searcher = Searcher(collection)
        assert (searcher.kind, searcher.notes) == (kind, [])
        assert recall(searcher, collection) >= 0.97
        scores, ordinals = searcher.search(queries(collection)[:1], 10)
        again = collection.gather(ordinals[0]) @ queries(collection)[0]
        assert np.allclose(scores[0], again, atol=1e-5)
        assert (np.diff(scores[0]) <= 0).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.004, 0.05, 0.5])
def test_a_filter_acts_before_the_search(path, kind, share, monkeypatch):
    monkeypatch.setattr("workbench.collection.index_search._FEW", 20)
    monkeypatch.setattr("workbench.collection.index_search._NARROW", 20)
    writer = open_writer(path)
    writer.build_index(kind)
    writer.close()
    with Collection.open(path) as collection:
        allowed = np.random.default_rng(1).random(collection.ordinals) < share
        searcher = Searcher(collection)
        _, ordinals = searcher.search(queries(collection), 10, allowed)
        assert ordinals.shape == (40, min(10, allowed.sum()))
        assert allowed[ordinals].all()
        assert recall(searcher, collection, allowed) >= 0.95


def test_auto_chooses_by_size():
    assert index_kinds.resolve("auto", 50_000).name == "Flat"
    assert index_kinds.resolve("auto", 50_001, 320) == index_kinds.Kind("PQ", "IVF1,PQ160x4fsr")
    assert index_kinds.resolve("auto", 50_001, 321).name == "RaBitQ"
    assert index_kinds.resolve("auto", 2_700_000, 384).name == "PQ"
    assert index_kinds.resolve("auto", 1_140_000, 2048).factory == "IVF512,RaBitQfs"
    assert index_kinds.resolve("auto", 3_000_000, 384).factory == "IVF512,RaBitQfs"
    assert index_kinds.resolve("IVF", 3_000_000, 384).factory == "IVF2048,SQfp16"
    assert index_kinds.resolve("auto", 3_000_000, 321).name == "RaBitQ"


def test_training_takes_few_vectors_of_many_values_and_more_for_a_large_index():
    assert training_rows(100_000, 320, 1) == 65_536
    assert training_rows(1_000_000, 384, 1024) == 65_536
    assert training_rows(2_000_000, 384, 2048) == (128 << 20) // (4 * 384)
    assert training_rows(1_140_000, 2048, 1) * 2048 * 4 == pytest.approx(1_140_000 * 2048 / 16, rel=0.01)
    assert training_rows(50_000_000, 384, 8192) == 64 * 8192
    assert training_rows(3, 384, 1) == 3
    assert index_kinds.resolve("flat", 9).name == "Flat"
    assert index_kinds.resolve("HNSW32", 9).factory == "HNSW32"


def test_unknown_and_impossible_kinds_are_refused(path):
    writer = open_writer(path)
    with pytest.raises(UsageError, match=r"cannot make an index 'foo'.*HNSW32"):
        writer.build_index("foo")
    with pytest.raises(UsageError, match="needs at least 100,000 vectors, there are 3,200"):
        writer.build_index("IVF100000,Flat")
    assert writer.build_index("none")["kind"] == "none"
    assert writer.has_index
    writer.close()
    with Collection.open(path) as collection:
        assert recall(Searcher(collection), collection) == 1.0


def test_an_index_grows_and_new_shards_are_found_before_it_does(tmp_path):
    path = made(tmp_path / "c", units=4, rows=300)
    writer = open_writer(path)
    writer.build_index("RaBitQ")
    before = writer.manifest.derivative("ann")
    commit(writer, 4, 300)
    writer.flush()
    with Collection.open(path) as collection:
        searcher = Searcher(collection)
        newest = collection.gather(np.arange(1200, 1210))
        assert (searcher.search(newest, 1)[1][:, 0] == np.arange(1200, 1210)).all()
        assert recall(searcher, collection) >= 0.97
    assert not writer.has_index
    facts = writer.build_index("RaBitQ")
    part = writer.manifest.derivative("ann")
    assert facts["rows"] == 1500
    assert part.facts["trained_rows"] == 1200  # extended, not trained again
    assert part.files[0].name != before.files[0].name
    assert writer.build_index("RaBitQ") == facts  # nothing new: kept as it is
    assert writer.manifest.derivative("ann") == part
    writer.close()


def test_dropped_units_and_deleted_rows_are_not_found(tmp_path):
    path = made(tmp_path / "c", units=5, rows=300)
    writer = open_writer(path)
    writer.build_index("RaBitQ")
    writer.drop_units([1])
    writer.delete({2: range(50)})
    commit(writer, 1, 300)
    writer.close()
    with Collection.open(path) as collection:
        searcher = Searcher(collection)
        assert searcher.notes == []
        alive = collection.alive()
        assert recall(searcher, collection, alive) >= 0.97
        scores, ordinals = searcher.search(queries(collection), 10)
        assert alive[ordinals].all()
        ids = collection.rows(ordinals[0]).column("chunk_id").to_pylist()
        for chunk, ordinal, score in zip(ids, ordinals[0], scores[0], strict=True):
            position = int(np.searchsorted(collection.starts, ordinal, side="right") - 1)
            shard = collection.shards[position]
            assert chunk == f"u{shard.unit}-{ordinal - collection.starts[position]}"
            row = collection.vectors(position)[int(ordinal - collection.starts[position])]
            assert abs(float(row.astype(np.float32) @ queries(collection)[0]) - float(score)) < 1e-4


@pytest.mark.parametrize("harm", ["flip", "cut", "gone"])
def test_a_damaged_index_means_exact_search_and_says_so(tmp_path, harm):
    path = made(tmp_path / "c", units=3, rows=300)
    writer = open_writer(path)
    writer.build_index("RaBitQ")
    file = path / writer.manifest.derivative("ann").files[0].name
    writer.close()
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    {"flip": lambda: file.write_bytes(data), "cut": lambda: file.write_bytes(data[:99]), "gone": file.unlink}[harm]()
    with Collection.open(path) as collection:
        searcher = Searcher(collection)
        assert searcher.kind == "exact"
        assert "`index` builds it again" in searcher.notes[0]
        assert "exactly" in searcher.notes[0]
        assert recall(searcher, collection) == 1.0


def test_a_missing_shard_is_named_and_the_rest_is_found(tmp_path):
    path = made(tmp_path / "c", units=4, rows=300)
    writer = open_writer(path)
    writer.build_index("RaBitQ")
    writer.close()
    next((path / "shards").glob("00000001.vectors*")).unlink()
    with Collection.open(path) as collection:
        assert "00000001.vectors.arrow is missing" in collection.notes[0]
        assert collection.count == 900
        searcher = Searcher(collection)
        assert searcher.notes == []
        assert recall(searcher, collection) >= 0.97


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_vectors_that_are_not_scaled_are_compared_by_cosine(tmp_path, dtype):
    path = tmp_path / "c"
    writer = open_writer(path, identity={"model": "m", "normalise": "False"}, dtype=dtype)
    commit(writer, 0, 300)
    writer.build_index("auto")
    writer.close()
    with Collection.open(path) as collection:
        asked = queries(collection) * 7
        scores, ordinals = Searcher(collection).search(asked, 5)
        stored = collection.vectors(0).astype(np.float64)
        cosine = (asked[0] @ stored[ordinals[0]].T) / np.linalg.norm(asked[0]) / np.linalg.norm(
            stored[ordinals[0]], axis=1
        )
        assert np.allclose(scores[0], cosine, atol=1e-3)


def test_k_beyond_the_collection_and_wrong_vectors(tmp_path):
    path = made(tmp_path / "c", units=1, rows=5)
    writer = open_writer(path)
    writer.build_index("auto")
    writer.close()
    with Collection.open(path) as collection:
        searcher = Searcher(collection)
        scores, ordinals = searcher.search(np.ones((2, DIM), np.float32), 100)
        assert scores.shape == (2, 5)
        assert sorted(ordinals[0]) == [0, 1, 2, 3, 4]
        with pytest.raises(UsageError, match="length 32"):
            searcher.search(np.ones((1, 8), np.float32), 3)


def test_an_empty_collection_answers_nothing(tmp_path):
    writer = open_writer(tmp_path / "c")
    writer.build_index("auto")
    writer.close()
    with Collection.open(tmp_path / "c") as collection:
        scores, ordinals = Searcher(collection).search(np.ones((1, DIM), np.float32), 10)
        assert scores.shape == ordinals.shape == (1, 0)
        assert collection.rows([]).num_rows == 0


def test_leading_values_are_an_index_with_its_loss_measured(tmp_path):
    path = made(tmp_path / "c", units=8, rows=400)
    writer = open_writer(path)
    facts = writer.build_index("Matryoshka-8")
    assert facts["kind"] == "Matryoshka-8" and facts["recall_at_10"] >= 0.99
    assert facts["recall_alone"] < 0.9  # these vectors spread over all values: a quarter of them says little
    assert facts["bytes_per_vector"] < 8 + 4  # one byte for each value that is kept
    wide = writer.build_index("matryoshka")
    assert wide["kind"] == f"Matryoshka-{DIM // 2}" and facts["recall_alone"] < wide["recall_alone"] < 1
    with pytest.raises(UsageError, match=f"more than {DIM} values, the collection's have {DIM}"):
        writer.build_index(f"Matryoshka-{DIM}")
    writer.close()
    with Collection.open(path) as collection:
        searcher = Searcher(collection)
        assert (searcher.kind, searcher.notes) == (wide["kind"], [])
        assert recall(searcher, collection) >= 0.97


def test_more_hits_than_are_needed_cost_no_more_candidates(tmp_path, monkeypatch):
    path = made(tmp_path / "c", units=8, rows=400)
    writer = open_writer(path)
    writer.build_index("PQ", rescore=16)
    writer.close()
    with Collection.open(path) as collection:
        searcher = Searcher(collection)
        asked = []
        search = searcher._candidates
        monkeypatch.setattr(searcher, "_candidates", lambda q, n, mask: asked.append(n) or search(q, n, mask))
        one = queries(collection)[:1]
        for k, sure in ((10, 0), (20, 10), (20, 0), (300, 10), (3, 0)):
            assert searcher.search(one, k, sure=sure)[1].shape == (1, k)
        assert asked == [160, 160, 320, 300, 160]
