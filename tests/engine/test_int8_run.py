"""A whole run in 8 bits: refused for other number formats, and searched in its own."""

from __future__ import annotations

import numpy as np
import pytest

from tests.engine.harness import content, corpus, request
from tests.engine.test_run import go
from workbench.core.errors import UsageError
from workbench.encoders import int8_linear
from workbench.encoders.embed import Embedder
from workbench.search.library import open_collection

pytestmark = pytest.mark.skipif(not int8_linear.available(), reason="this processor has no 8-bit products")
INT8 = ("encoder.engine=torch", "encoder.device=cpu", "encoder.dtype=int8", "pipeline.workers=1")


def test_a_run_in_int8_is_kept_apart_and_searched_in_int8(tmp_path):
    source = corpus(tmp_path / "notes.jsonl", 120)
    result = go(request(tmp_path, source, *INT8))
    assert (result.outcome, result.chunks) == ("done", 120)
    assert go(request(tmp_path, source, *INT8)).resumed == 120
    with pytest.raises(UsageError, match="numbers: int8, not"):
        go(request(tmp_path, source, *INT8, "encoder.dtype=fp32"))
    ids, vectors = content(tmp_path / "a.collection")
    with open_collection(str(tmp_path / "a.collection")) as found:
        hit = found.search(vector=vectors[7].astype(np.float32), k=1)[0]
        embedded = f"{hit.title}\n{hit.text}"  # by the profile's template
        assert hit.chunk_id == ids[7] == found.search(embedded, k=1, mode="dense")[0].chunk_id
        assert found.info().dtype == "int8"  # known once a query was embedded
    near = Embedder(str(tmp_path / "tiny-model"), dtype="int8").embed([embedded])[0] @ vectors[7]
    assert near > 0.999  # alone, not padded beside others: a value near the middle of two steps may fall the other way
