"""Writes a tokenizer.json with transformers; runs in a process of its own."""

from __future__ import annotations


def main(folder: str, file: str) -> None:
    """Convert the tokenizer of a model folder; any failure is the process's exit code and last line."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, use_fast=True)
    if not tokenizer.is_fast:
        raise SystemExit(f"{type(tokenizer).__name__} has no fast version")
    tokenizer.backend_tokenizer.save(file)
