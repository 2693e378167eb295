"""Sealing the folder of a run that has ended: SHA-256 of its files, in the form that `sha256sum -c` reads."""

from __future__ import annotations

import hashlib
from pathlib import Path

from workbench.collection.durable import Disk, sha256_of

SEAL = "SHA256SUMS"


def seal_folder(folder: Path, disk: Disk | None = None) -> None:
    """Write SHA256SUMS with a line for every file of the folder, and a last line that covers the lines before."""
    disk = disk or Disk()
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name != SEAL)
    lines = "".join(f"{sha256_of(folder / name)[1]}  {name}\n" for name in names).encode()
    text = lines + _last(lines)
    disk.write(folder / f"{SEAL}.new", lambda file: file.write(text))
    disk.replace(folder / f"{SEAL}.new", folder / SEAL)
    disk.sync_folder(folder)


def broken_seals(folder: Path) -> list[tuple[str, str]]:
    """(file, what is wrong) for every file of a sealed folder that is not as it was; [] for one never sealed."""
    seal = folder / SEAL
    if not seal.exists():
        return []
    data = seal.read_bytes()
    cut = data.rfind(b"\n", 0, max(0, len(data) - 1)) + 1
    if data[cut:] != _last(data[:cut]):
        return [(SEAL, "is damaged")]
    found = []
    for line in data[:cut].decode().splitlines():
        digest, _, name = line.partition("  ")
        try:
            if sha256_of(folder / name)[1] != digest:
                found.append((name, "SHA-256 differs"))
        except OSError:
            found.append((name, "is missing"))
    return found


def _last(lines: bytes) -> bytes:
    return f"# {hashlib.sha256(lines).hexdigest()}\n".encode()
