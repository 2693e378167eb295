"""Writes a trained encoder as a folder for transformers and sentence-transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import BertModel

from training.vocabulary import SPECIAL

MAX_TOKENS = 256


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8", newline="\n")


def export_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """tokenizer.json, tokenizer_config.json and special_tokens_map.json."""
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    # Written by hand: the class name that transformers 5 would write is unknown to transformers 4.
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": MAX_TOKENS, **names}
    _write(folder / "tokenizer_config.json", settings)
    _write(folder / "special_tokens_map.json", names)


def export(model: BertModel, tokenizer: Tokenizer, folder: Path) -> None:
    """Write the model in half precision with mean pooling and normalisation as modules.

    The modules' type names are those every sentence-transformers version knows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    half: Any = model.cpu()
    half.half().save_pretrained(folder)
    export_tokenizer(tokenizer, folder)
    kinds = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(kinds)
    ]
    _write(folder / "modules.json", modules)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": MAX_TOKENS, "do_lower_case": False})
    pooling = {
        "word_embedding_dimension": model.config.hidden_size,
        "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
    }
    _write(folder / "1_Pooling" / "config.json", pooling)
    _write(folder / "2_Normalize" / "config.json", {})
    _write(folder / "config_sentence_transformers.json", {"prompts": {}, "similarity_fn_name": "cosine"})
