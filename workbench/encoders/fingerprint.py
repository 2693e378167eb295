"""SHA-256 of model files, remembered by path, size and time so that a second start reads nothing again."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from workbench.core.paths import user_cache

_BLOCK = 1 << 22


def file_sha256(file: Path) -> str:
    """SHA-256 of a file's bytes, in hex. Raises OSError when it cannot be read."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def files_sha256(files: list[Path], root: Path) -> str:
    """One SHA-256 for several files: of the file itself when there is one, else of their names and hashes."""
    hashes = _remembered(files)
    if len(files) == 1:
        return hashes[0]
    lines = (f"{file.relative_to(root).as_posix()} {one}\n" for file, one in zip(files, hashes, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def weight_files(folder: Path, further: tuple[Path, ...] = ()) -> list[Path]:
    """Files with the weights of a model folder, sorted: safetensors, else PyTorch's older format.

    Args:
        further: folders of layers after the pooling, each with weights of its own.
    """
    found: list[Path] = []
    for place in (folder, *further):
        safe = sorted(place.glob("*.safetensors"))
        found.extend(safe or sorted(place.glob("pytorch_model*.bin")))
    return found


def _remembered(files: list[Path]) -> list[str]:
    store = user_cache() / "sha256.json"
    known = _read(store)
    hashes: list[str] = []
    fresh = False
    for file in files:
        stat = file.stat()
        key = os.path.normcase(str(file.resolve()))
        stamp = [stat.st_size, stat.st_mtime_ns]
        entry = known.get(key)
        if not (isinstance(entry, list) and entry[:2] == stamp and len(entry) == 3):
            entry = [*stamp, file_sha256(file)]
            known[key] = entry
            fresh = True
        hashes.append(str(entry[2]))
    if fresh:
        _write(store, known)
    return hashes


def _read(store: Path) -> dict[str, list[int | str]]:
    try:
        content = json.loads(store.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(store: Path, known: dict[str, list[int | str]]) -> None:
    """Keep what was computed; a cache that cannot be written costs time, never the run."""
    staged = store.with_name(f"{store.name}.{os.getpid()}")
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        staged.write_text(json.dumps(known), encoding="utf-8", newline="\n")
        staged.replace(store)
    except OSError:
        staged.unlink(missing_ok=True)
