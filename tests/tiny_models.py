"""Small model folders with random weights, in the layout that sentence-transformers writes. Reused by all tests."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

SENTENCES = [
    "The quick brown fox jumps over the lazy dog.",
    "How do I compress a file with gzip or zlib?",
    "Embedding a corpus is limited by the slowest stage of the pipeline.",
    "A batch holds rows of like length under a token budget.",
    "Der schnelle braune Fuchs springt über den faulen Hund; Grüße aus Zürich.",
    "天地玄黄宇宙洪荒日月盈昃辰宿列张",
    "def main(argv: list[str]) -> int: return 0",
]


def word_piece(folder: Path, *, max_length: int = 64, lower: bool = True, pad: int = 0) -> int:
    """Write a WordPiece tokenizer of the letters and words of `SENTENCES`; returns its vocabulary's size.

    It is not trained: a trainer orders equally frequent pieces anew in each process, and vectors with them.
    tokenizer.json hard-codes truncation and padding on purpose: models on the hub do, and readers must cope.
    """
    from tokenizers import BertWordPieceTokenizer, processors

    special = ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    special.insert(pad, "[PAD]")
    splits = BertWordPieceTokenizer(lowercase=lower)
    parts = (splits.pre_tokenizer.pre_tokenize_str(splits.normalizer.normalize_str(one)) for one in SENTENCES)
    words = {word for sentence in parts for word, _ in sentence}
    letters = {letter for word in words for letter in word}
    pieces = [*special, *sorted(letters), *(f"##{one}" for one in sorted(letters)), *sorted(words - letters)]
    tokenizer = BertWordPieceTokenizer({piece: number for number, piece in enumerate(pieces)}, lowercase=lower)
    ends = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(length=16, pad_id=pad)
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": lower, "model_max_length": max_length,
              "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]",
              "mask_token": "[MASK]"}
    _write(folder / "tokenizer_config.json", config)
    return int(tokenizer.get_vocab_size())


def byte_level(folder: Path, *, max_length: int = 64) -> tuple[int, int]:
    """Train a byte-level BPE tokenizer that ends every row with `<|endoftext|>`; returns (vocabulary, id of it)."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES * 5, trainer)
    end = tokenizer.token_to_id("<|endoftext|>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <|endoftext|>", special_tokens=[("<|endoftext|>", end)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    _write(folder / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": max_length,
        "pad_token": "<|endoftext|>", "eos_token": "<|endoftext|>",
    })
    return int(tokenizer.get_vocab_size()), int(end)


def sentence_transformers_files(
    folder: Path, width: int, *, pooling: str | list[str] = "mean", normalise: bool = True,
    max_length: int | None = 64, prompts: dict[str, str] | None = None, include_prompt: bool = True,
    old_format: bool = False, dense: int = 0, lower_case: bool = False,
) -> None:
    """Write modules.json and what it names; `dense` > 0 adds a linear layer to so many outputs."""
    modes = [pooling] if isinstance(pooling, str) else pooling
    stages: list[tuple[str, str]] = [("", "Transformer"), ("1_Pooling", "Pooling")]
    (folder / "1_Pooling").mkdir()
    if old_format:
        names = {"cls": "cls_token", "mean": "mean_tokens", "max": "max_tokens", "lasttoken": "lasttoken"}
        flags = {f"pooling_mode_{flag}": mode in modes for mode, flag in names.items()}
        config: dict[str, Any] = {"word_embedding_dimension": width, **flags, "include_prompt": include_prompt}
    else:
        config = {"embedding_dimension": width, "pooling_mode": pooling, "include_prompt": include_prompt}
    _write(folder / "1_Pooling" / "config.json", config)
    if dense:
        _write_dense(folder / "2_Dense", width * len(modes), dense)
        stages.append(("2_Dense", "Dense"))
    if normalise:
        name = f"{len(stages)}_Normalize"
        (folder / name).mkdir()
        stages.append((name, "Normalize"))
    modules = [{"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
               for i, (path, kind) in enumerate(stages)]
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    _write(folder / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": lower_case})
    _write(folder / "config_sentence_transformers.json",
           {"model_type": "SentenceTransformer", "prompts": prompts or {}, "default_prompt_name": None})


def tiny_bert(
    folder: Path, *, layers: int = 2, hidden: int = 32, heads: int = 4, max_length: int = 64, seed: int = 0,
    st: bool = True, lower: bool = True, **st_options: Any,
) -> Path:
    """A BERT folder; `st_options` go to `sentence_transformers_files`, `st=False` leaves those files out."""
    from transformers import BertConfig, BertModel

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = word_piece(folder, max_length=max_length, lower=lower)
    config = BertConfig(vocab_size=vocabulary, hidden_size=hidden, num_hidden_layers=layers,
                        num_attention_heads=heads, intermediate_size=4 * hidden, max_position_embeddings=128,
                        initializer_range=_spread(hidden))
    return _save(folder, BertModel, config, seed, hidden, st, {"max_length": max_length, **st_options})


def tiny_roberta(folder: Path, *, hidden: int = 32, seed: int = 0, st: bool = True, **st_options: Any) -> Path:
    """An XLM-RoBERTa folder (positions begin behind the padding id)."""
    from transformers import XLMRobertaConfig, XLMRobertaModel

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = word_piece(folder, pad=1)
    config = XLMRobertaConfig(vocab_size=vocabulary, hidden_size=hidden, num_hidden_layers=2, num_attention_heads=4,
                              intermediate_size=64, max_position_embeddings=66, pad_token_id=1, type_vocab_size=1,
                              initializer_range=_spread(hidden))
    return _save(folder, XLMRobertaModel, config, seed, hidden, st, st_options)


def tiny_mpnet(folder: Path, *, hidden: int = 32, seed: int = 0, st: bool = True, **st_options: Any) -> Path:
    """An MPNet folder (relative attention bias)."""
    from transformers import MPNetConfig, MPNetModel

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = word_piece(folder, pad=1)
    config = MPNetConfig(vocab_size=vocabulary, hidden_size=hidden, num_hidden_layers=2, num_attention_heads=4,
                         intermediate_size=64, max_position_embeddings=66, initializer_range=_spread(hidden))
    return _save(folder, MPNetModel, config, seed, hidden, st, st_options)


def tiny_modernbert(folder: Path, *, hidden: int = 32, seed: int = 0, st: bool = True, **st_options: Any) -> Path:
    """A ModernBERT folder (rotary positions, gated layers, local attention)."""
    from transformers import ModernBertConfig, ModernBertModel

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = word_piece(folder)
    config = ModernBertConfig(vocab_size=vocabulary, hidden_size=hidden, num_hidden_layers=3, num_attention_heads=4,
                              intermediate_size=48, max_position_embeddings=128, local_attention=16,
                              pad_token_id=0, bos_token_id=2, eos_token_id=3, cls_token_id=2, sep_token_id=3,
                              initializer_range=_spread(hidden))
    return _save(folder, ModernBertModel, config, seed, hidden, st, st_options)


def tiny_qwen3(folder: Path, *, hidden: int = 32, seed: int = 0, st: bool = True, **st_options: Any) -> Path:
    """A Qwen3 folder, a decoder as Qwen3-Embedding is: last-token pooling, every row ended by a token."""
    from transformers import Qwen3Config, Qwen3Model

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary, end = byte_level(folder)
    config = Qwen3Config(vocab_size=vocabulary, hidden_size=hidden, num_hidden_layers=2, num_attention_heads=4,
                         num_key_value_heads=2, head_dim=8, intermediate_size=48, max_position_embeddings=128,
                         pad_token_id=end, eos_token_id=end, bos_token_id=None, initializer_range=_spread(hidden))
    return _save(folder, Qwen3Model, config, seed, hidden, st, {"pooling": "lasttoken", **st_options})


def with_random_weights(source: Path, target: Path, seed: int = 0) -> Path:
    """A copy of a folder that has config and tokenizer only, with random weights: same cost as the real model."""
    import torch
    from transformers import AutoConfig, AutoModel

    shutil.copytree(source, target, copy_function=shutil.copyfile)
    torch.manual_seed(seed)
    AutoModel.from_config(AutoConfig.from_pretrained(target)).save_pretrained(target)
    return target


def _spread(hidden: int) -> float:
    """Standard deviation of random weights that gives activations the size they have in a model 1024 wide at 0.02;
    with less, layers would hardly change their input and no mistake in them would show."""
    return float((1024 / hidden) ** 0.5 * 0.02)


def _save(folder: Path, kind: Any, config: Any, seed: int, width: int, st: bool, options: dict[str, Any]) -> Path:
    import torch

    torch.manual_seed(seed)
    model = kind(config).eval()
    with torch.no_grad():  # the padding token starts as zeros, which would hide what becomes of it
        model.get_input_embeddings().weight.normal_(std=0.2)
    model.save_pretrained(folder)
    if st:
        sentence_transformers_files(folder, width, **options)
    return folder


def _write_dense(folder: Path, inputs: int, outputs: int) -> None:
    import torch
    from safetensors.torch import save_file

    folder.mkdir()
    linear = torch.nn.Linear(inputs, outputs)
    save_file({"linear.weight": linear.weight.detach(), "linear.bias": linear.bias.detach()},
              str(folder / "model.safetensors"))
    _write(folder / "config.json", {"in_features": inputs, "out_features": outputs, "bias": True,
                                    "activation_function": "torch.nn.modules.activation.Tanh"})


def _write(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content), encoding="utf-8")
