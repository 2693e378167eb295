"""A real (tiny, random) cross-encoder in the encoder process."""

from __future__ import annotations

import pytest

from tests.search import making
from tests.tiny_models import word_piece
from workbench.core.errors import UsageError
from workbench.search.service import SearchService
from workbench.search.values import Query


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory):
    from transformers import BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("models") / "cross"
    folder.mkdir()
    size = word_piece(folder)
    config = BertConfig(vocab_size=size, hidden_size=32, num_hidden_layers=1, num_attention_heads=4,
                        intermediate_size=64, max_position_embeddings=128, num_labels=1, initializer_range=0.3)
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def test_the_first_hits_are_in_the_order_of_the_cross_encoder(tmp_path, cross_encoder):
    folder = making.model(tmp_path / "m")
    path = making.make(tmp_path / "c", making.embedder(folder, "torch"))
    with SearchService(path, model=str(folder), reranker=str(cross_encoder)) as service:
        plain, reranked = (
            service.search([Query("the sea", k=4, rerank=n)])[0] for n in (0, 6)
        )
        again = service.search([Query("the sea", k=6, rerank=6)])[0]
        least = again[1].score
        good, none = (service.search([Query("the sea", k=6, rerank=6, min_score=x)])[0] for x in (least, 1e9))
        with pytest.raises(UsageError, match="reranking needs a text"):
            service.search([Query(like="c1", rerank=3)])
    assert len(plain) == len(reranked) == 4
    assert [hit.score for hit in again] == sorted((hit.score for hit in again), reverse=True)
    assert [hit.chunk_id for hit in reranked] == [hit.chunk_id for hit in again][:4]
    assert [hit.rank for hit in reranked] == [1, 2, 3, 4]
    assert [hit.chunk_id for hit in good] == [hit.chunk_id for hit in again][:2]
    assert not none.hits and f"the best has {again[0].score:.3f}" in none.notes[-1]
    first = _score(cross_encoder, "the sea", again[0].text)
    assert again[0].score == pytest.approx(first, abs=1e-4)


def _score(folder, query: str, text: str) -> float:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    batch = AutoTokenizer.from_pretrained(folder)(query, text, return_tensors="pt")
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    return float(model(**batch).logits.detach())


def test_a_model_that_is_no_cross_encoder_is_refused(tmp_path):
    folder = making.model(tmp_path / "m")
    path = making.make(tmp_path / "c", making.embedder(folder))
    with SearchService(path, model=str(folder), reranker=str(tmp_path / "nothing")) as service, pytest.raises(
        UsageError, match="no such model folder"
    ):
        service.search([Query("x", rerank=3)])
