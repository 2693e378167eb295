"""`workbench search`: text in, ranked hits out."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.common import add_json, print_json, program, takes_escapes
from workbench.core import paths
from workbench.core.errors import UsageError
from workbench.search.service import SearchService
from workbench.search.values import FUSIONS, MODES, Answer, Hit, Query
from workbench.search.where import parse

if TYPE_CHECKING:
    from workbench.cli.common import Subparsers

DESCRIPTION = """\
Finds the chunks of a collection that answer a text: by words and by meaning at once (hybrid, where there is a text
index), by meaning alone (dense) or by words alone (lexical).

--where takes a filter over the collection's columns, applied before the search:
  --where "author = 'Li Bai' and year < 760"        = != < <= > >=, and, or, not, ( )
  --where "lang in ('de', 'en') or lang is null"    in, between … and …, is null, is not null
  --where "title like 'The %' and path glob 'notes/**'"
  fields: the columns, and doc_id, chunk_id, title, text, place; path is place without its line number

--json prints one object: query, mode, notes, and hits, a list of rank, score, chunk_id, doc_id, title, text,
place, metadata, snippet, marks (begin and end of matched words in the snippet), dense, lexical, duplicates,
before, after, collection. With --batch it prints {"queries": [one such object for each query, and its "id"]}.
The file has one JSON value a line: {"_id": "1", "text": "…"}, {"query": "…"} or "…"."""

_BAR = 10  # characters
_FIELDS = (
    "rank", "score", "chunk_id", "doc_id", "title", "text", "place", "metadata", "snippet", "marks", "dense",
    "lexical", "duplicates", "before", "after", "collection",
)


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("search", help="find text in a collection", description=DESCRIPTION)
    parser.add_argument("query", nargs="*", metavar="TEXT", help="what to find; several words need no quotes")
    parser.add_argument(
        "--in", dest="collections", type=Path, action="append", metavar="FOLDER",
        help="the collection; without it the one built last. Given twice, both are searched as one",
    )
    parser.add_argument("-k", type=_count, default=10, metavar="N", help="hits wanted (10)")
    parser.add_argument("--mode", choices=MODES, default="", help="hybrid where there is a text index, else dense")
    parser.add_argument("--fusion", choices=FUSIONS, default="coverage", help="how hybrid makes one ranking of two")
    parser.add_argument("--where", default="", metavar="FILTER", help="only chunks that this filter lets through")
    parser.add_argument("--doc", default="", metavar="ID", help="only chunks of this document")
    parser.add_argument("--path", default="", metavar="GLOB", help="only chunks from places like this: notes/*.md")
    parser.add_argument("--min-score", type=_number, metavar="X", help="leave out hits that score less")
    parser.add_argument("--like", default="", metavar="CHUNK_ID", help="find what is like this chunk")
    parser.add_argument("--neighbours", type=_count, default=0, metavar="N", help="show N chunks before and after")
    parser.add_argument("--all", action="store_true", help="show chunks of equal content each by itself")
    parser.add_argument("--rerank", default="", metavar="FOLDER|ID", help="order the first hits by this cross-encoder")
    parser.add_argument("--rerank-top", type=_count, default=50, metavar="N", help="hits it orders (50)")
    parser.add_argument("--batch", type=Path, metavar="FILE", help="queries from a .jsonl file; - for stdin")
    parser.add_argument("--model", default="", metavar="FOLDER|ID", help="where the collection's model is now")
    parser.add_argument("--device", default="auto", help="where queries are embedded: auto, cpu, cuda, mps")
    add_json(parser)


def execute(args: argparse.Namespace) -> int:
    text = " ".join(args.query)
    if args.batch is not None and (text or args.like):
        raise UsageError("a query and --batch were given", remedy="Give one of them")
    named = read_batch(args.batch) if args.batch is not None else [("", text)]
    if args.batch is None and not text.strip() and not args.like:
        remedy = f'Say what to find: {program()} search "how do I compress a file"'
        raise UsageError("the query is empty", remedy=remedy)
    queries = [_query_of(args, query) for _, query in named]
    folders = [paths.chosen_collection(folder) for folder in args.collections or [None]]
    embed = any(query.mode != "lexical" and not query.like for query in queries) or bool(args.rerank)
    with SearchService(
        folders, model=args.model, device=args.device, embed=embed, reranker=args.rerank
    ) as service:
        answers = service.search(queries)
        _print(args, named, answers)
        sys.stdout.flush()  # the processes take a moment to leave; nobody should wait for that
    return 0


def _query_of(args: argparse.Namespace, text: str) -> Query:
    wheres = [f"({args.where})"] if args.where and (args.doc or args.path) else [args.where] if args.where else []
    for field, op, value in (("doc_id", "=", args.doc), ("path", "glob", args.path)):
        if value:
            quoted = value.replace("'", "''")
            wheres.append(f"{field} {op} '{quoted}'")
    if args.where:
        parse(args.where)  # a complaint about what the user wrote, not about what was put together
    return Query(
        text, args.k, mode=args.mode, where=" and ".join(wheres), like=args.like, min_score=args.min_score,
        rerank=args.rerank_top if args.rerank else 0, neighbours=args.neighbours, fold=not args.all,
        fusion=args.fusion,
    )


def read_batch(file: Path) -> list[tuple[str, str]]:
    """(id, text) of each query in a file of JSON lines; "-" is stdin.

    Raises:
        UsageError: the file or a line cannot be read, with the line's number.
    """
    try:
        if str(file) == "-":
            content = sys.stdin.buffer.read().decode("utf-8-sig")
        else:
            content = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(file)) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"is not UTF-8 (byte {error.start})", where=str(file), remedy="Save it as UTF-8") from error
    lines = [(n, line) for n, line in enumerate(content.split("\n"), 1) if line.strip()]
    if not lines:
        raise UsageError("holds no query", where=str(file), remedy='One JSON value a line: {"_id": "1", "text": "…"}')
    return [_query(line, n, file) for n, line in lines]


def _query(line: str, number: int, file: Path) -> tuple[str, str]:
    where = f"{file}, line {number}"
    try:
        value = json.loads(line)
    except ValueError as error:
        raise UsageError(f"is not JSON: {error}", where=where, remedy='Example: {"_id": "1", "text": "…"}') from error
    if isinstance(value, str):
        name, text = str(number), value
    elif isinstance(value, dict):
        found = next((value[key] for key in ("text", "query") if isinstance(value.get(key), str)), None)
        if found is None:
            raise UsageError("has neither text nor query", where=where, remedy='Example: {"_id": "1", "text": "…"}')
        name, text = str(value.get("_id", value.get("id", number))), found
    else:
        raise UsageError("is neither text nor an object", where=where, remedy='Example: {"_id": "1", "text": "…"}')
    if not text.strip():
        raise UsageError("the query is empty", where=where)
    return name, text


def hit_fields(hit: Hit) -> dict[str, object]:
    """A hit as it is printed with --json."""
    return {name: getattr(hit, name) for name in _FIELDS}


def _print(args: argparse.Namespace, named: Sequence[tuple[str, str]], answers: Sequence[Answer]) -> None:
    if args.json:
        found = [
            {"query": text, "mode": answer.mode, "notes": answer.notes, "hits": [hit_fields(hit) for hit in answer]}
            for (_, text), answer in zip(named, answers, strict=True)
        ]
        if args.batch is None:
            print_json(found[0])
        else:
            print_json({"queries": [{"id": name, **one} for (name, _), one in zip(named, found, strict=True)]})
        return
    colour = not os.environ.get("NO_COLOR") and takes_escapes(sys.stdout)
    for (name, text), answer in zip(named, answers, strict=True):
        if args.batch is not None:
            print(f"── {name}: {_plain(text)}")
        for note in answer.notes:
            print(f"note: {note}", file=sys.stderr)
        several = len(args.collections or ()) > 1
        hits = (_lines(hit, answer.hits[0].score, colour=colour, several=several) for hit in answer)
        print("\n\n".join(hits) or "nothing found")
        if args.batch is not None:
            print()


def _lines(hit: Hit, best: float, *, colour: bool, several: bool = False) -> str:
    """A hit for people: rank, bar and score, title, place (and which of several collections), the sentences."""
    width = max(40, min(shutil.get_terminal_size((100, 24)).columns, 120))
    share = max(0.0, min(1.0, hit.score / best)) if best > 0 else 0.0
    full = round(share * _BAR)
    bar = ("█" * full).ljust(_BAR, "░")
    title = _plain(hit.title or hit.chunk_id)
    head = textwrap.shorten(f"{hit.rank:>2}. {bar} {hit.score:.3f}  {title}", width, placeholder="…")
    lines = [head, _plain(hit.place) + (f"  in {Path(hit.collection).name}" if several else "")]
    lines += textwrap.wrap(_plain(" ".join(hit.before)), width - 6, initial_indent="↑ ") if hit.before else []
    snippet = textwrap.wrap(_plain(_marked(hit)), width - 4)
    lines += [_painted(line, colour=colour) for line in _balanced(snippet)]
    lines += textwrap.wrap(_plain(" ".join(hit.after)), width - 6, initial_indent="↓ ") if hit.after else []
    lines += [f"the same text: {', '.join(map(_plain, hit.duplicates))}"] if hit.duplicates else []
    return "\n    ".join(lines)


_BEGIN, _END = "\ue000", "\ue001"  # private signs: they stand for a mark until lines are cut


def _marked(hit: Hit) -> str:
    text, place, parts = hit.snippet.replace(_BEGIN, " ").replace(_END, " "), 0, []
    for begin, end in hit.marks:
        parts += [text[place:begin], _BEGIN, text[begin:end], _END]
        place = end
    return "".join([*parts, text[place:]])


def _balanced(lines: Sequence[str]) -> list[str]:
    """A mark that goes over the end of a line ends there and begins again on the next."""
    found, is_open = [], False
    for line in lines:
        begun = _BEGIN + line if is_open else line
        is_open = begun.count(_BEGIN) > begun.count(_END)
        found.append(begun + _END if is_open else begun)
    return found


def _painted(line: str, *, colour: bool) -> str:
    """Marks as bold on a terminal with colours, else as *stars*."""
    begin, end = ("\x1b[1m", "\x1b[22m") if colour else ("*", "*")
    return line.replace(_BEGIN, begin).replace(_END, end)


def _plain(text: str) -> str:
    """One line without control characters: a text must not be able to write to the terminal."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\s]+", " ", text).strip()


def _count(text: str) -> int:
    number = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 1 or more")
    return number


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
