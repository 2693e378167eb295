"""A cross-encoder reads query and text together: slower than vectors, and better at the order of the first hits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.core.errors import UsageError
from workbench.encoders.hub import is_hub_id
from workbench.encoders.torch_import import import_torch

#: Pairs computed at once.
_BATCH = 16
_LONGEST = 512  # tokens of a pair, where the model names no limit


class Reranker:
    """A Hugging Face model that gives one score to a pair of texts; lives in the encoder process.

    Args:
        name: folder, or hub id of a model that is in the local cache. device: as torch names it.

    Raises:
        UsageError: no such model, or one that does not give one score.
    """

    def __init__(self, name: str, device: str) -> None:
        torch = import_torch()
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self.name, self._device = name, device
        if not Path(name).expanduser().is_dir() and not is_hub_id(name):
            raise UsageError("there is no such model folder", where=name, remedy="Name a folder or a hub id")
        place = str(Path(name).expanduser()) if Path(name).expanduser().is_dir() else name
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(place)
            model = AutoModelForSequenceClassification.from_pretrained(place, dtype=torch.float32)
        except (OSError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UsageError(
                f"the cross-encoder cannot be loaded ({reason})", where=name, remedy="Name a folder that holds one"
            ) from error
        if model.config.num_labels != 1:
            raise UsageError(
                f"the model gives {model.config.num_labels} scores, a cross-encoder gives one", where=name,
                remedy="Choose a reranker, such as BAAI/bge-reranker-v2-m3",
            )
        self._model = model.to(device).eval()
        limit = int(getattr(self._tokenizer, "model_max_length", _LONGEST) or _LONGEST)
        positions = int(getattr(model.config, "max_position_embeddings", limit) or limit)
        self._longest = min(limit, positions if positions > 2 else limit, 8192)

    def scores(self, query: str, texts: Sequence[str]) -> tuple[float, ...]:
        """One score per text: the model's raw output, higher is better."""
        torch = import_torch()
        order = sorted(range(len(texts)), key=lambda n: -len(texts[n]))
        found = [0.0] * len(texts)
        with torch.inference_mode():
            for begin in range(0, len(order), _BATCH):
                part = order[begin : begin + _BATCH]
                batch = self._tokenizer(
                    [query] * len(part), [texts[n] for n in part], padding=True, truncation="longest_first",
                    max_length=self._longest, return_tensors="pt",
                ).to(self._device)
                logits = self._model(**batch).logits.float().reshape(-1).cpu().tolist()
                for n, score in zip(part, logits, strict=True):
                    found[n] = score
        return tuple(found)
