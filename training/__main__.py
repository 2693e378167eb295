"""One command for the whole recipe; it goes on from whatever stages and checkpoints it finds."""

from __future__ import annotations

import argparse
import ctypes
import sys
from pathlib import Path

import torch

from training.contrastive import Embedder, run_contrastive
from training.data import run_data
from training.export import export
from training.mlm import run_mlm
from training.model import new_encoder, start_from_static
from training.negatives import run_negatives
from training.settings import Settings, load_settings
from training.static import run_static
from training.vocabulary import SPECIAL, run_tokenizer


def keep_freed_memory() -> None:
    """Let glibc keep freed blocks: fresh pages for every large tensor cost several times the arithmetic."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        m_trim_threshold, m_top_pad, m_mmap_max = -1, -2, -4
        libc.mallopt(m_mmap_max, 0)
        libc.mallopt(m_trim_threshold, 2**31 - 1)
        libc.mallopt(m_top_pad, 2**28)


def run(settings: Settings, output: Path) -> None:
    """All stages in order; each is skipped when its output is there."""
    if settings.threads:
        torch.set_num_threads(settings.threads)
    device = settings.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = run_tokenizer(settings)
    run_data(settings, tokenizer)
    vocabulary = tokenizer.get_vocab_size()
    static = run_static(settings, vocabulary, device)
    torch.manual_seed(settings.seed)
    model = new_encoder(settings.model, vocabulary)
    start_from_static(model, static, list(range(len(SPECIAL))))
    special = SPECIAL.index("[CLS]"), SPECIAL.index("[SEP]")
    where = torch.device(device)
    torch.nn.Module.to(model, where)
    embedder = Embedder(model, special, where, settings.bf16, settings.contrastive.tokens_per_call)
    run_mlm(settings, embedder)
    run_contrastive(settings, embedder)
    run_negatives(settings, embedder)
    export(model, tokenizer, output)
    print(f"wrote {output}", flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("--settings", type=Path, required=True, help="a TOML file, such as training/cpu.toml")
    parser.add_argument(
        "--output", type=Path, help="folder of the finished model (default: model/ in the run's folder)"
    )
    given = parser.parse_args()
    settings = load_settings(given.settings)
    keep_freed_memory()
    run(settings, given.output or settings.folder / "model")


if __name__ == "__main__":
    main()
