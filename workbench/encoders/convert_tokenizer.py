"""`python -m workbench.encoders.convert_tokenizer FOLDER FILE`: write a tokenizer.json with transformers."""

from __future__ import annotations

import sys


def main(folder: str, file: str) -> None:
    """Convert the tokenizer of a model folder; any failure is the process's exit code and last line."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, use_fast=True)
    if not tokenizer.is_fast:
        raise SystemExit(f"{type(tokenizer).__name__} has no fast version")
    tokenizer.backend_tokenizer.save(file)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
