"""`workbench index`: another FAISS index from the stored vectors, without embedding anything."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.common import Steps, add_collection, add_json, duration, print_json, size
from workbench.collection.jobs import rebuild_index
from workbench.core import paths
from workbench.core.errors import UsageError
from workbench.core.profile import Profile
from workbench.core.profile_io import apply_overrides
from workbench.search.upkeep import build_text_index

if TYPE_CHECKING:
    from workbench.cli.common import Subparsers
    from workbench.collection.manifest import Fact

DESCRIPTION = """\
Builds the index from the stored vectors, measures recall@10 against exact search on the collection's own
vectors, and puts the new index in place of the old one; searches go on meanwhile. The median time of a search (one
query, one thread, ten hits) is measured for both.

kinds: auto          Flat up to 50,000 vectors; PQ up to a billion values (of all vectors together);
                     IVF-RaBitQ beyond
       Flat          exact
       RaBitQ        1-bit codes, the best candidates rescored from the stored vectors
       IVF-RaBitQ    the same over inverted lists
       SQ8 HNSW IVF PQ  8-bit codes; a graph; inverted lists; product quantisation
       Matryoshka-N  the first N values of each vector (Matryoshka: half of them), then rescored; for models trained so
       none          exact search without an index
       …             any FAISS factory string: HNSW32, IVF4096,PQ32x4fs …

--tune tries the kinds on a sample of the collection and shows, as a table and a plot, recall@10, latency (one query,
one thread), build time and bytes per vector of each. "alone" is recall@10 before the stored vectors are looked at: 1
minus it is what shorter vectors or codes would lose by themselves (encoder.truncate_dim stores shorter vectors). The
fastest kind that reaches --target (or the smallest, with --prefer smallest) is proposed, and built with --apply.
--text builds the index of words that hybrid and lexical search need, or extends it by what was added."""

#: Options of each kind of work, and what they are when not given.
_OPTIONS: dict[str, dict[str, object]] = {
    "": {"kind": "auto", "rescore": "0", "nprobe": "0", "sample": "200"},
    "--text": {"anew": False},
    "--tune": {"kinds": "", "target": 0.99, "prefer": "fastest", "rows": 100_000, "plot": None, "apply": False},
}


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("index", help="rebuild the FAISS index as another kind", description=DESCRIPTION)
    add_collection(parser)
    parser.add_argument("--kind", help="which index (auto)")
    parser.add_argument("--rescore", metavar="N", help="candidates per hit of lossy kinds; 0: calibrated")
    parser.add_argument("--nprobe", metavar="N", help="inverted lists visited; 0: calibrated")
    parser.add_argument("--sample", metavar="N", help="queries that recall@10 is measured on (200)")
    parser.add_argument("--text", action="store_true", help="build or extend the text index instead")
    parser.add_argument("--anew", action="store_true", help="with --text: from all chunks, not only the new ones")
    parser.add_argument("--tune", action="store_true", help="try kinds on a sample and compare them")
    parser.add_argument("--kinds", metavar="A,B", help="kinds that --tune tries, ; between factory strings")
    parser.add_argument("--target", type=float, metavar="R", help="recall@10 that --tune asks for (0.99)")
    parser.add_argument("--prefer", choices=("fastest", "smallest"), help="of those that reach it (fastest)")
    parser.add_argument("--rows", type=int, metavar="N", help="with --tune: rows of the sample (100,000)")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="with --tune: the plot as a picture")
    parser.add_argument("--apply", action="store_true", help="with --tune: build the kind that is proposed")
    add_json(parser)


def execute(args: argparse.Namespace) -> int:
    _fit(args)
    if args.tune:
        from workbench.cli.tuning import tune

        return tune(args)
    path = paths.chosen_collection(args.collection)
    if args.text:
        return _text(path, args)
    words = [f"index.{name}={getattr(args, name)}" for name in ("rescore", "nprobe", "sample")]
    chosen = apply_overrides(Profile(), words).index  # the profile knows what is allowed
    with Steps() as steps:
        built = rebuild_index(
            path, args.kind, rescore=chosen.rescore, nprobe=chosen.nprobe, sample=chosen.sample, progress=steps
        )
    if args.json:
        print_json({"collection": str(path), "index": built.now, "before": built.before})
        return 0
    if built.before:
        print(f"before: {_line(built.before)}")
    print(f"{'now: ' if built.before else ''}{_line(built.now)}: {path}")
    return 0


def _fit(args: argparse.Namespace) -> None:
    """Refuse options of other work than the one asked for, and fill in those not given."""
    if args.text and args.tune:
        raise UsageError("--text and --tune are two things", where="index", remedy="Give one of them")
    work = "--tune" if args.tune else "--text" if args.text else ""
    for owner, options in _OPTIONS.items():
        for name, default in options.items():
            given = getattr(args, name)
            if owner != work and given is not None and given is not False:
                belongs = f"goes with {owner}" if owner else f"does not go with {work}"
                raise UsageError(f"--{name} {belongs}", where="index", remedy="`index --help` says what goes together")
            setattr(args, name, default if given is None else given)


def _line(facts: Mapping[str, Fact]) -> str:
    """An index in a line."""
    recall, seconds, latency = facts.get("recall_at_10"), facts.get("seconds"), facts.get("p50_ms")
    parts = [f"index {facts['kind']}"]
    parts += [f"recall@10 {float(recall):.4f}"] if recall is not None else []
    parts += [f"{float(facts['bytes_per_vector'] or 0):,.0f} bytes per vector"] if "bytes_per_vector" in facts else []
    parts += [f"{float(latency):.2f} ms a search"] if latency is not None else []
    parts += [f"built in {duration(float(seconds))}"] if seconds is not None else []
    return ", ".join(parts)


def _text(path: Path, args: argparse.Namespace) -> int:
    with Steps() as steps:
        facts = build_text_index(path, anew=args.anew, progress=steps)
    if args.json:
        print_json({"collection": str(path), "text": facts})
    else:
        took = duration(float(facts.get("seconds") or 0.0))
        nbytes = size(float(facts["bytes"] or 0))
        print(f"text index of {facts['documents']:,} chunks, {nbytes}, built in {took}: {path}")
    return 0
