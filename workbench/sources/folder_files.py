"""Which files of a folder hold documents, and in which parts large ones are read."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from workbench.sources import storage
from workbench.sources.cutting import LEAST_UNITS
from workbench.sources.line_scan import scan

MARKDOWN = frozenset({".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd", ".rmd"})
RST = frozenset({".rst", ".rest"})
HTML = frozenset({".html", ".htm", ".xhtml"})
PLAIN = frozenset(
    ".txt .text .log .org .adoc .asciidoc .tex .textile .toml .yaml .yml .ini .cfg .conf .srt .vtt .po .bib".split()  # noqa: SIM905
)
CODE = frozenset(
    [
        ".py", ".pyi", ".pyx", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".java", ".kt", ".kts", ".scala",
        ".groovy", ".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".hh", ".cs", ".fs", ".vb", ".go", ".rs",
        ".swift", ".m", ".mm", ".rb", ".php", ".pl", ".pm", ".lua", ".r", ".jl", ".dart", ".ex", ".exs", ".erl",
        ".hs", ".ml", ".mli", ".clj", ".el", ".lisp", ".scm", ".nim", ".zig", ".v", ".sv", ".vhd", ".f90", ".f",
        ".pas", ".d", ".sh", ".bash", ".zsh", ".ps1", ".bat", ".cmd", ".sql", ".cmake", ".proto", ".graphql",
        ".css", ".scss", ".vue", ".svelte",
    ]
)
_NAMED = frozenset(
    [
        "readme", "license", "licence", "copying", "changelog", "changes", "authors", "contributing", "news",
        "notice", "todo", "install", "makefile", "dockerfile",
    ]
)
_SKIPPED = frozenset({"node_modules", "__pycache__", "venv", "site-packages"})
FOLDERS = "folder"  # counted apart from files
_LARGE, _PART, _LEAST_PART = 16 << 20, 8 << 20, 1 << 20
_LEAST_SHARE, _MOST_SHARES = 1 << 18, 32
_HEAD = 8192


@dataclass(frozen=True, slots=True)
class Piece:
    """A file, or a part of a large one.

    Attributes:
        path: the file. label: its name for people and ids, relative to what was named.
        file: number of the file. start, stop: bytes. line: line of the file at `start`, from 1.
        part: number of the piece among those of its file from 1, 0 for a whole file.
        share, shares: which share of the text between `start` and `stop` is meant, from 0, of how many.
    """

    path: str
    label: str
    file: int
    start: int
    stop: int
    line: int = 1
    part: int = 0
    share: int = 0
    shares: int = 1

    @property
    def nbytes(self) -> int:
        """Bytes of its share."""
        return (self.stop - self.start) // self.shares


def is_document(path: Path) -> bool:
    """Whether the name of a file tells that it holds text."""
    suffix = path.suffix.lower()
    if suffix in MARKDOWN | RST | HTML | PLAIN | CODE:
        return True
    return not suffix and path.name.lower() in _NAMED


def document_files(inputs: Sequence[Path], skipped: Counter[str]) -> Iterator[tuple[Path, str]]:
    """Files to read and their labels, in order; counts in `skipped` why others are left out.

    A file named by the user is taken whatever its name is, unless it is binary.
    """
    for path in inputs:
        if not path.is_dir():
            if _wanted(path, skipped, named=True):
                yield path, path.name
            continue
        prefix = f"{path.name}/" if len(inputs) > 1 else ""
        for folder, folders, names in os.walk(path):
            kept = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED)
            if len(kept) < len(folders):
                skipped[FOLDERS] += len(folders) - len(kept)
            folders[:] = kept
            for name in sorted(names):
                file = Path(folder, name)
                if _wanted(file, skipped):
                    yield file, prefix + file.relative_to(path).as_posix()


def _wanted(path: Path, skipped: Counter[str], named: bool = False) -> bool:
    if path.name.startswith(".") and not named:
        skipped["hidden"] += 1
    elif not named and not is_document(path):
        skipped["of another kind"] += 1
    else:
        try:
            with path.open("rb") as file:
                head = file.read(_HEAD)
        except OSError:
            return True  # told as a reject when it is read
        if head and not (b"\0" in head and head[:2] not in (b"\xff\xfe", b"\xfe\xff")):
            return True
        skipped["binary" if head else "empty"] += 1
    return False


def pieces(files: Sequence[tuple[Path, str]]) -> Iterator[Piece]:
    """Files as they are read: those above 16 MB in parts of about 8 MB that end with a line where they can.

    What is large for this input is shared out, so that all workers have work: every share parses its part as a whole
    and so knows the headings above it.
    """
    sizes = [_size(path) for path, _ in files]
    aim = max(_LEAST_SHARE, sum(sizes) // LEAST_UNITS)
    for number, ((path, label), size) in enumerate(zip(files, sizes, strict=True)):
        if size <= _LARGE or _is_utf16(path):
            parts = [Piece(str(path), label, number, 0, size)]
        else:
            parts = list(_parts(path, label, number, size))
        whole = [(part, min(_MOST_SHARES, -(-part.nbytes // aim) or 1)) for part in parts]
        shared = [replace(part, share=share, shares=count) for part, count in whole for share in range(count)]
        yield from (replace(p, part=i) for i, p in enumerate(shared, 1)) if len(shared) > 1 else shared


def _size(path: Path) -> int:
    try:
        return storage.patiently(lambda: path.stat().st_size, path)
    except OSError:
        return 0  # told as a reject when it is read


def _parts(path: Path, label: str, number: int, size: int) -> Iterator[Piece]:
    found = scan(path)
    start, line = 0, 1
    while start < size:
        stop = size
        if size - start > _LARGE:
            edge = int(np.searchsorted(found.offsets, start + _PART, side="right")) - 1
            stop = int(found.offsets[edge])
            if stop < start + _LEAST_PART:
                stop = _character_edge(path, start + _PART)
        yield Piece(str(path), label, number, start, stop, line)
        line = 1 + int(found.lines[max(0, int(np.searchsorted(found.offsets, stop, side="right")) - 1)])
        start = stop


def _character_edge(path: Path, at: int) -> int:
    """First byte from `at` on where a UTF-8 character starts."""
    with path.open("rb") as file:
        file.seek(at)
        following = file.read(4)
    return at + next((i for i, byte in enumerate(following) if byte & 0xC0 != 0x80), 0)


def _is_utf16(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) in (b"\xff\xfe", b"\xfe\xff")
