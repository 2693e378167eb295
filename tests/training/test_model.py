"""The encoder starts as the bag of words it was given."""

import torch
import torch.nn.functional as F  # noqa: N812

from training.model import constant_norm, new_encoder, pool, start_from_static
from training.settings import ModelSettings

TINY = ModelSettings(hidden=32, layers=2, heads=4, intermediate=64, positions=16)


def test_rows_are_a_fixed_point_of_layer_normalisation():
    rows = constant_norm(torch.randn(50, 32) * torch.rand(50, 1) * 3)
    torch.testing.assert_close(F.layer_norm(rows, (32,)), rows, rtol=1e-4, atol=1e-4)


def test_without_branches_the_encoder_is_the_static_bag():
    torch.manual_seed(0)
    static = torch.randn(50, 32)
    static[:, :30] -= static[:, :30].mean(1, keepdim=True)
    static[:, 30:] = 0
    model = new_encoder(TINY, 50).eval()
    start_from_static(model, static, [0, 1, 2], branch=0.0)
    model.embeddings.position_embeddings.weight.data.zero_()
    ids = torch.tensor([[1, 10, 11, 12, 2], [1, 40, 41, 2, 0]])
    mask = ids != 0
    with torch.no_grad():
        vectors = pool(model(input_ids=ids, attention_mask=mask.long()).last_hidden_state, mask)
    # No word here is longer than the limit by much, so directions agree closely.
    wanted = torch.stack([static[[10, 11, 12]].sum(0), static[[40, 41]].sum(0)])
    assert F.cosine_similarity(vectors, wanted).min() > 0.99


def test_small_branches_change_the_start_little():
    torch.manual_seed(0)
    static = torch.randn(50, 32)
    model = new_encoder(TINY, 50).eval()
    ids = torch.randint(3, 50, (4, 8))
    mask = torch.ones_like(ids, dtype=torch.bool)
    found = []
    for branch in (0.0, 0.25):
        torch.manual_seed(1)
        start_from_static(model, static, [0, 1, 2], branch=branch)
        with torch.no_grad():
            found.append(pool(model(input_ids=ids).last_hidden_state, mask))
    assert F.cosine_similarity(*found).min() > 0.9
    assert not torch.equal(*found)
