"""tokenizer.json of a model folder; where there is only an older format, a converted copy in the user's cache."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from workbench.core.child_process import NOT_FROM_HERE
from workbench.core.errors import UsageError
from workbench.core.paths import user_cache
from workbench.encoders.fingerprint import file_sha256
from workbench.encoders.st_files import read_json

_OLDER = ("vocab.txt", "vocab.json", "merges.txt", "sentencepiece.bpe.model", "spiece.model", "tokenizer.model",
          "spm.model")
_BERT_LIKE = frozenset({"", "bert", "distilbert", "electra"})


def tokenizer_file(folder: Path) -> Path:
    """Path of a tokenizer.json for a model folder.

    Raises:
        UsageError: the folder has no tokenizer, or one that cannot be converted.
    """
    ready = folder / "tokenizer.json"
    if ready.is_file():
        return ready
    parts = [folder / name for name in _OLDER if (folder / name).is_file()]
    if not parts:
        raise UsageError(
            "model folder without tokenizer (no tokenizer.json, vocab.txt or sentencepiece model)",
            where=str(folder), remedy="Copy the tokenizer's files of the model into the folder",
        )
    settings = [f for f in (folder / "tokenizer_config.json", folder / "config.json") if f.is_file()]
    key = "".join(file_sha256(file) for file in (*parts, *settings))
    target = user_cache() / "tokenizers" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
    if not target.is_file():
        _convert(folder, target)
    return target


def _convert(folder: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.with_name(f"{target.name}.{os.getpid()}")
    family = str(read_json(folder / "config.json").get("model_type", ""))
    try:
        if (folder / "vocab.txt").is_file() and family in _BERT_LIKE:
            _from_vocabulary(folder, staged)
        else:
            _with_transformers(folder, staged)
        staged.replace(target)
    finally:
        staged.unlink(missing_ok=True)


def _from_vocabulary(folder: Path, target: Path) -> None:
    """WordPiece from vocab.txt with BERT's own rules."""
    from tokenizers import BertWordPieceTokenizer

    config = read_json(folder / "tokenizer_config.json")
    strip = config.get("strip_accents")
    try:
        tokenizer = BertWordPieceTokenizer(
            str(folder / "vocab.txt"),
            lowercase=bool(config.get("do_lower_case", True)),
            handle_chinese_chars=bool(config.get("tokenize_chinese_chars", True)),
            strip_accents=strip if isinstance(strip, bool) else None,
        )
        target.write_text(tokenizer.to_str(), encoding="utf-8", newline="\n")
    except Exception as error:  # the Rust side raises plain Exception
        raise _failed(folder, str(error)) from error


def _with_transformers(folder: Path, target: Path) -> None:
    """Any other format, in a process of its own: transformers is never loaded here."""
    code = f"{NOT_FROM_HERE}from workbench.encoders.convert_tokenizer import main\nmain(*sys.argv[1:])"
    command = [sys.executable, "-c", code, str(folder), str(target)]
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH", ""))))
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=300,
        env={**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8", "HF_HUB_OFFLINE": "1"}, check=False,
    )
    if done.returncode != 0 or not target.is_file():
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise _failed(folder, lines[-1][:300] if lines else f"exit code {done.returncode}")


def _failed(folder: Path, reason: str) -> UsageError:
    return UsageError(
        f"model folder without tokenizer.json, and its older tokenizer could not be converted ({reason})",
        where=str(folder), remedy="Put a tokenizer.json into the folder",
    )
