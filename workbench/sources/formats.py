"""Which files hold records, told by their ending."""

from __future__ import annotations

from pathlib import Path

#: Ending → module and class that read it; `.gz`, `.zst`, `.bz2` after it are taken off first.
FORMATS = {
    ".parquet": ("workbench.sources.parquet_rows", "ParquetRows"),
    ".jsonl": ("workbench.sources.json_rows", "JsonRows"),
    ".ndjson": ("workbench.sources.json_rows", "JsonRows"),
    ".csv": ("workbench.sources.csv_rows", "CsvRows"),
    ".tsv": ("workbench.sources.csv_rows", "CsvRows"),
}
PACKED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}


def ending(path: Path) -> tuple[str, str]:
    """Ending that says the format, and the name of its compression or ""; e.g. (".jsonl", "gzip")."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packing = PACKED.get(suffixes[-1], "") if suffixes else ""
    rest = suffixes[:-1] if packing else suffixes
    return (rest[-1] if rest else ""), packing
