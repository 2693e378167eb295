"""Source of documents: a folder, or single files, of text, Markdown, reStructuredText, HTML and source code.

Files are cut into chunks along headings, paragraphs and sentences (see `text.chunking`); the title of a chunk is
the document's name and the headings above it. Files must be UTF-8, or UTF-16 with a byte order mark; any other is
rejected, never read with replacement characters. The headings above a part of a file beyond 16 MB start anew.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path

from workbench.core.activity import Activity, Meter
from workbench.core.errors import UsageError
from workbench.core.throttle import Throttle
from workbench.core.units import Plan, SourceSpec, UnitSpec
from workbench.sources import cutting, files, folder_files, storage
from workbench.sources.base import TokenSpans, UnitRows
from workbench.sources.cut_rows import Part, cut_rows
from workbench.sources.folder_files import FOLDERS, Piece
from workbench.sources.rows import Rejects
from workbench.text import documents
from workbench.text.html import parse_html

VERSION = "1"
_LEAST_BYTES = 32_768  # of a unit
_HASHED_WHOLE = 256 << 20  # a folder up to this size is hashed in full


class FolderSource:
    """See the module. Units are ranges of pieces (files, parts of large ones); extent = name of their list."""

    def __init__(self, spec: SourceSpec, spans: TokenSpans | None = None) -> None:
        self._spec, self._spans = spec, spans
        self._list = ""
        self._pieces: list[Piece] = []
        #: What was read last: shares of a file follow one another.
        self._parsed: tuple[tuple[str, int], documents.Document | None, Rejects] = ("", 0), None, Rejects()
        self._prints: tuple[list[str], list[str]] | None = None
        self._throttle = Throttle(spec.read_bytes_per_second)

    def plan(self) -> Plan:
        """See `Source.plan`; the list of files goes into the cache, so that every worker sees the same."""
        return self.plan_changes({})

    def plan_changes(self, known: Mapping[str, str]) -> Plan:
        """As `plan`, without units for files whose fingerprint is the one in `known` (doc_id → fingerprint)."""
        inputs = [Path(path) for path in self._spec.paths]
        skipped: Counter[str] = Counter()
        found = list(folder_files.document_files(inputs, skipped))
        notes = [f"{count} files skipped: {why}" for why, count in sorted(skipped.items()) if why != FOLDERS]
        notes += [f"{skipped[FOLDERS]} folders skipped: hidden or generated"] if skipped[FOLDERS] else []
        if not found:
            left = f" ({'; '.join(notes)})" if notes else ""
            raise UsageError(
                f"there is nothing to embed here{left}", where=str(inputs[0]),
                remedy="Name a folder with text, Markdown, reStructuredText, HTML or source files, or a table",
            )
        found = found[: self._spec.limit or None]
        if self._prints is None or len(self._prints[0]) != len(found):
            self._prints = _prints([path for path, _ in found])
        prints, exact = self._prints
        documents = {label: one for (_, label), one in zip(found, exact, strict=True)}
        every = folder_files.pieces(found)  # of all files, so that a file is parted as it was
        pieces = [piece for piece in every if documents[piece.label] != known.get(piece.label)]
        listed = json.dumps([VERSION, *(astuple(piece) for piece in pieces)], separators=(",", ":"))
        name = f"files-{files.combined([listed])[:20]}.json"
        files.lay_out(Path(self._spec.cache) / name, len(listed), lambda staged: _write(staged, listed))
        sizes = [piece.nbytes for piece in pieces]
        target = min(self._spec.unit_bytes, max(_LEAST_BYTES, sum(sizes) // (2 * cutting.LEAST_UNITS)))
        ranges = cutting.joined([cutting.Stretch(1, size) for size in sizes], self._spec.unit_rows, target)
        units = tuple(UnitSpec(i, name, a, b, None, sum(sizes[a:b])) for i, (a, b) in enumerate(ranges))
        identity = {"kind": "folder", "content": files.combined(prints), "plan": cutting.plan_hash(self._spec, units)}
        title = inputs[0].name if len(inputs) == 1 else f"{inputs[0].name} and {len(inputs) - 1} more"
        return Plan(units, identity, None, sum(sizes), title, tuple(notes), documents)

    def read(self, unit: UnitSpec, meter: Meter) -> UnitRows:
        """See `Source.read`."""
        assert self._spans is not None, "reading needs token boundaries"
        rejects = Rejects()
        parts: list[Part] = []
        nbytes = 0
        for piece in self._piece_list(unit.extent)[unit.start : unit.stop]:
            with meter.doing(Activity.READ):
                nbytes += piece.nbytes
                self._throttle.take(piece.nbytes)
                key = (piece.path, piece.start)
                if key != self._parsed[0]:
                    found = Rejects()
                    self._parsed = key, _document(piece, found, self._home(Path(piece.path))), found
            with meter.doing(Activity.SLICE):
                parts += self._piece_parts(piece, rejects)
        with meter.doing(Activity.SLICE):
            return cut_rows(parts, self._spec, self._spans, rejects, unit.skip, nbytes)

    def _home(self, path: Path) -> Path | None:
        """The folder that was named and holds a file, or the folder of a file that was named itself."""
        named = [Path(given) for given in self._spec.paths]
        return path.parent if path in named else next((one for one in named if one in path.parents), None)

    def _piece_parts(self, piece: Piece, rejects: Rejects) -> list[Part]:
        _, document, found = self._parsed
        if piece.share == 0:
            rejects.extend(found)
        if not document:
            return []
        if not document.sections and piece.share == 0:
            rejects.add(piece.file, "empty text", f"{piece.label}: markup only", doc_id=piece.label)
        return _parts(piece, document)

    def _piece_list(self, name: str) -> list[Piece]:
        if name != self._list:
            listed = json.loads((Path(self._spec.cache) / name).read_text(encoding="utf-8"))
            self._pieces, self._list = [Piece(*values) for values in listed[1:]], name
        return self._pieces


def _write(target: Path, text: str) -> None:
    # the names of files are kept as JSON escapes, broken ones too
    target.write_text(text, encoding="ascii", newline="\n")


def _prints(paths: list[Path]) -> tuple[list[str], list[str]]:
    """Fingerprints of files: of content alone, hashed whole while there are not too many bytes of them and sampled
    beyond; and with the time of the last change for those that were sampled, which miss no change."""
    prints, exact = [], []
    left = _HASHED_WHOLE
    for path in paths:
        try:
            stat = path.stat()
            whole = min(stat.st_size, left, files.WHOLE)
            left -= whole
            prints.append(files.file_print(path, whole))
            exact.append(prints[-1] if stat.st_size <= whole else f"{prints[-1]} {stat.st_mtime_ns}")
        except OSError as error:
            prints.append(f"unreadable {error.errno}")
            exact.append(prints[-1])
    return prints, exact


def _document(piece: Piece, rejects: Rejects, home: Path | None) -> documents.Document | None:
    """A piece as headings and text, or None and a reject: one odd file must not cost the others of its unit."""
    text = _read(piece, rejects, home)
    if not text:
        return None
    try:
        return _parse(Path(piece.label), text)
    except MemoryError:
        raise  # no fault of the file
    except Exception as error:
        why = f"{piece.label}: {type(error).__name__}: {error}"
        rejects.add(piece.file, "file cannot be parsed", why, doc_id=piece.label)
        return None


def _read(piece: Piece, rejects: Rejects, home: Path | None) -> str | None:
    """Text of a piece with plain line ends, or None and a reject. Raises RunFailed when its storage fails."""
    path = Path(piece.path)

    def stored() -> bytes:
        with path.open("rb") as file:
            file.seek(piece.start)
            return file.read(piece.stop - piece.start)

    try:
        data = storage.patiently(stored, path, home)
    except OSError as error:
        rejects.add(piece.file, "file cannot be read", f"{piece.label}: {error.strerror}", doc_id=piece.label)
        return None
    encoding = "utf-16" if piece.start == 0 and data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        at = f"{piece.label}: byte {piece.start + error.start}"
        rejects.add(piece.file, f"file is not valid {encoding.upper()}", at, doc_id=piece.label)
        return None
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        rejects.add(piece.file, "empty text", piece.label, doc_id=piece.label)
        return None
    return text


def _parts(piece: Piece, document: documents.Document) -> list[Part]:
    path = Path(piece.label)
    name = path.name if path.suffix.lower() in folder_files.CODE else document.title or path.stem
    stem = f"{piece.label}#{piece.part}." if piece.part else f"{piece.label}#"
    return [
        Part(
            piece.file, piece.label, stem, documents.title_path(name, section.headings), piece.label,
            documents.moved(section, piece.line - 1),
        )
        for section in documents.share(document.sections, piece.share, piece.shares)
    ]


def _parse(path: Path, text: str) -> documents.Document:
    suffix = path.suffix.lower()
    if suffix in folder_files.MARKDOWN:
        return documents.parse_markdown(text)
    if suffix in folder_files.RST:
        return documents.parse_rst(text)
    if suffix in folder_files.HTML:
        return parse_html(text)
    if suffix in folder_files.CODE:
        return documents.parse_code(text)
    if suffix in (".txt", "") and "====" in text:
        return documents.parse_rst(text)  # a README in plain text often has underlined titles
    return documents.parse_plain(text)
