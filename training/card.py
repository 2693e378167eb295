"""Writes the model card: sources with licences from the pairs' manifest, figures from benchmarks/quality.py.

    python -m training.card --figures quality.json --manifest ../shared/data/pairs/MANIFEST.md \
        --settings training/cpu.toml --model workbench/models/default
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from training.settings import Settings, load_settings

_TEMPLATE = Path(__file__).with_name("card.md")
_NAMES = {
    "scifact": ("scifact", "nDCG@10", 0.42, 0.55),
    "xquad-en": ("xquad-en", "nDCG@10", 0.80, 0.90),
    "cmrc2018-dev": ("cmrc2018-dev (Chinese)", "nDCG@10", 0.70, 0.85),
    "stsb-en-dev": ("STS-B dev, English", "Spearman", 0.71, 0.78),
    "stdlib": ("60 questions about the standard library", "hit@5", 0.55, 0.85),
}


def source_rows(manifest: str) -> list[tuple[str, str, str, str]]:
    """``(source, repository, licence, pairs)`` of the manifest's first table."""
    rows = []
    for line in manifest.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 8 and re.fullmatch(r"[\d,]+", cells[4]):
            rows.append((cells[0], cells[1], cells[3], cells[4]))
    return rows


def figure_rows(report: list[dict[str, Any]]) -> str:
    """The table of figures: the first entry of the report is the model, one named bm25 the reference."""
    model = report[0]["scores"]
    reference: dict[str, float] = next((r["scores"] for r in report if r["model"] == "bm25"), {})
    lines = ["| set | measure | reached | floor | goal |", "|---|---|---:|---:|---:|"]
    for key, (name, measure, floor, goal) in _NAMES.items():
        if key not in model:
            continue
        beside = f" (BM25 on the same passages: {reference[key]:.3f})" if key in reference else ""
        lines.append(f"| {name}{beside} | {measure} | **{model[key]:.3f}** | {floor:.2f} | {goal:.2f} |")
    return "\n".join(lines)


def describe(settings: Settings) -> str:
    """What was done, from the settings."""
    static, main, late = settings.static, settings.contrastive, settings.negatives
    lines = [
        f"1. Word vectors alone, as a mean-pooled bag: {static.epochs:g} epochs, batches of {static.batch} pairs.",
        "2. In this version the layers stand as they start, near the identity."
        if not main.steps
        else f"2. The whole encoder from there: {main.steps} steps of {main.batch} pairs, in-batch negatives, passages "
        f"of {main.tokens} tokens, {main.long_tokens} in the last {1 - main.long_from:.0%}; weights averaged over the "
        f"last steps, then {main.blend:g} of the way from the start to them; leading dimensions trained along "
        "(Matryoshka).",
    ]
    if late.steps:
        lines.append(f"3. Hard negatives mined with the model itself: {late.steps} steps.")
    else:
        lines.append("3. The hard-negative stage of the recipe was skipped: there was no time for it.")
    if settings.mlm.steps:
        lines.insert(1, f"   Masked-language pretraining of the layers: {settings.mlm.steps} steps.")
    return "\n".join(lines)


def card(settings: Settings, report: list[dict[str, Any]], manifest: str) -> str:
    """The whole card as Markdown."""
    sources = ["| source | repository | licence | pairs |", "|---|---|---|---:|"]
    sources += [f"| {name} | {where} | {licence} | {count} |" for name, where, licence, count in source_rows(manifest)]
    model = settings.model
    values = {
        "shape": f"{model.layers} layers × {model.hidden}, {model.heads} heads",
        "vocabulary": f"{settings.tokenizer.vocab_size:,}",
        "width": str(model.hidden),
        "figures": figure_rows(report),
        "stages": describe(settings),
        "sources": "\n".join(sources),
    }
    text = _TEMPLATE.read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace("{" + key + "}", value)
    return text


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("figures", "manifest", "settings", "model"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    report = json.loads(given.figures.read_text(encoding="utf-8"))
    text = card(load_settings(given.settings), report, given.manifest.read_text(encoding="utf-8"))
    (given.model / "README.md").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
