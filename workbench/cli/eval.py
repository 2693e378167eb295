"""`workbench eval`: how well a collection answers judged queries, and whether another one does better."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cli.common import add_json, print_json, table
from workbench.core import paths
from workbench.core.errors import UsageError
from workbench.search.service import SearchService
from workbench.search.values import FUSIONS, MODES, Answer, Query

if TYPE_CHECKING:
    from workbench.cli.common import Subparsers
    from workbench.search.evaluation import Comparison, Judged

DESCRIPTION = """\
Asks a collection judged queries and scores the documents it finds, best chunk of each document first.

The files are BEIR's: queries.jsonl ({"_id": "1", "text": "…"} a line) and a qrels table (query-id, corpus-id,
score; tabs, one header line). corpus-id is the doc_id of the collection.

--json prints one object: ndcg@10, recall@10, recall@100, mrr@10, queries, p50_ms, p99_ms. p50_ms and p99_ms are
the time of one query in the search process, embedding left out. --per-query and --against add mode, collection,
chunks, index, notes, and per_query, or against (the same keys) and comparison (a key for each measure).

--against compares two collections on the same queries (another model, number format, index, or with --against-mode
the same collection searched another way): mean difference, its 95 % interval, and Fisher's randomisation test."""

#: Chunks asked for at first, and at most; more chunks of one document push others out.
_FIRST, _MOST = 200, 20_000
_DOCUMENTS = 100
_PLAIN = ("ndcg@10", "recall@10", "recall@100", "mrr@10", "queries", "p50_ms", "p99_ms")
_NOTHING = "no query finds a document that is judged relevant: corpus-id of the judgements must be the doc_id here"
#: A difference with a smaller p is called one.
_SURE = 0.05


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("eval", help="measure search quality on judged queries", description=DESCRIPTION)
    parser.add_argument("collection", nargs="?", type=Path, help="the same as --in")
    parser.add_argument(
        "--in", dest="named", type=Path, metavar="FOLDER", help="the collection; without it the one built last"
    )
    parser.add_argument("--queries", type=Path, required=True, metavar="FILE", help="queries.jsonl")
    parser.add_argument("--qrels", type=Path, required=True, metavar="FILE", help="qrels/test.tsv")
    parser.add_argument("--mode", choices=MODES, default="", help="how to search (hybrid where there is a text index)")
    parser.add_argument("--fusion", choices=FUSIONS, default="coverage", help="how hybrid makes one ranking of two")
    parser.add_argument("--where", default="", metavar="FILTER", help="only chunks that this filter lets through")
    parser.add_argument("--model", default="", metavar="FOLDER|ID", help="where the collection's model is now")
    parser.add_argument("--device", default="auto", help="where queries are embedded: auto, cpu, cuda, mps")
    parser.add_argument("--rerank", default="", metavar="FOLDER|ID", help="cross-encoder for the first hits")
    parser.add_argument("--rerank-top", type=int, default=50, metavar="N", help="hits it orders anew (50)")
    parser.add_argument("--against", type=Path, metavar="OTHER", help="another collection, compared query by query")
    parser.add_argument("--against-mode", choices=MODES, default="", help="how to search the other one")
    parser.add_argument("--against-model", default="", metavar="FOLDER|ID", help="where the other one's model is now")
    parser.add_argument("--per-query", action="store_true", help="the measures of every query too")
    add_json(parser)


@dataclass(frozen=True, slots=True)
class System:
    """One way of searching one collection."""

    collection: Path
    mode: str
    model: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a system reached: means, per query (id → measure → value), and facts about it."""

    means: Mapping[str, float]
    per_query: Mapping[str, Mapping[str, float]]
    facts: Mapping[str, object]
    notes: tuple[str, ...]


def execute(args: argparse.Namespace) -> int:
    from workbench.search.evaluation import MEASURES, compare, read_judged

    judged = read_judged(args.queries, args.qrels)
    systems = _systems(args)  # what is wrong with the second is said before the first has taken its time
    outcome, *others = [evaluate(system, judged, args) for system in systems]
    other = others[0] if others else None
    comparisons: list[Comparison] = []
    if other is not None:
        for name in MEASURES:
            values = [[per[name] for per in one.per_query.values()] for one in (outcome, other)]
            comparisons.append(compare(name, values[0], values[1]))
    if args.json:
        for note in outcome.notes[:3]:
            print(f"note: {note}", file=sys.stderr)
        print_json(_as_json(outcome, other, comparisons, per_query=args.per_query))
    else:
        _print(outcome, other, comparisons, judged, per_query=args.per_query)
    return 0


def _systems(args: argparse.Namespace) -> list[System]:
    """What is scored: the collection, and with --against or --against-mode what it is compared with."""
    if args.collection is not None and args.named is not None:
        raise UsageError("the collection was given twice", remedy="Give it with --in alone")
    first = System(paths.chosen_collection(args.named or args.collection), args.mode, args.model)
    if args.against is None and not args.against_mode:
        return [first]
    against = paths.chosen_collection(args.against) if args.against is not None else first.collection
    return [first, System(against, args.against_mode or args.mode, args.against_model or args.model)]


def evaluate(system: System, judged: Judged, args: argparse.Namespace) -> Outcome:
    """Ask all queries, one after the other, as a user would."""
    import numpy as np

    from workbench.search.evaluation import mean, measure

    if args.rerank and args.rerank_top < 1:
        raise UsageError(f"--rerank-top {args.rerank_top} reranks nothing", remedy="Give 1 or more")
    with SearchService(system.collection, model=system.model, device=args.device, reranker=args.rerank) as service:
        texts = list(judged.queries.values())
        options: dict[str, Any] = {"mode": system.mode, "where": args.where, "fusion": args.fusion, "fold": False}
        options |= {"rerank": args.rerank_top} if args.rerank else {"ids_only": True}
        rankings = _rankings(service, [Query(text, _FIRST, **options) for text in texts])
        options |= {"rerank": 0, "ids_only": False}
        answers = [service.search([Query(text, **options)])[0] for text in texts]  # as a user asks: one, ten hits
        info = service.info()
    per_query = {
        name: measure(ranking[:_DOCUMENTS], judged.judgements[name])
        for name, ranking in zip(judged.queries, rankings, strict=True)
    }
    times = np.array([answer.seconds for answer in answers]) * 1000
    p50, p99 = np.percentile(times, [50, 99])
    facts = {
        "queries": len(texts), "p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3),
        "mode": answers[0].mode, "collection": str(system.collection), "chunks": info.chunks, "index": info.index,
    }
    notes = tuple(dict.fromkeys(note for answer in answers for note in answer.notes))
    means = mean(list(per_query.values()))
    notes = notes if means["recall@100"] > 0 else (_NOTHING, *notes)
    return Outcome(means, per_query, facts, notes)


def _rankings(service: SearchService, queries: Sequence[Query]) -> list[list[str]]:
    """Documents found for each query; more chunks are asked for where one document's push others out."""
    rankings = [documents(answer) for answer in service.search(queries)]
    most = min(_MOST, service.info().chunks)
    for n, query in enumerate(queries):
        asked = _FIRST
        while len(rankings[n]) < _DOCUMENTS and asked < most:
            asked *= 4
            rankings[n] = documents(service.search([replace(query, k=asked)])[0])
    return rankings


def documents(answer: Answer) -> list[str]:
    """Document ids in the order of the best chunk of each."""
    return list(dict.fromkeys(hit.doc_id for hit in answer))


def in_words(found: Comparison) -> str:
    """What a comparison comes to, in a sentence."""
    if found.better == found.worse == 0:
        return f"In {found.measure} they are equal on every query."
    asked = f"{found.better} {'query' if found.better == 1 else 'queries'} better, {found.worse} worse"
    if found.p >= _SURE:
        least = max(abs(found.low), abs(found.high))
        return (
            f"In {found.measure} no difference is shown (p {found.p:.3f}; {asked}); "
            f"if there is one, it is hardly larger than {least:.3f}."
        )
    which = "better" if found.difference > 0 else "worse"
    return (
        f"In {found.measure} the other is {which} by {abs(found.difference):.3f} "
        f"(p {found.p:.3f}; {asked}): hardly by chance."
    )


def _as_json(
    one: Outcome, other: Outcome | None, comparisons: Sequence[Comparison], *, per_query: bool
) -> dict[str, Any]:
    def fields(outcome: Outcome) -> dict[str, Any]:
        found: dict[str, Any] = {**outcome.means, **outcome.facts, "notes": outcome.notes}
        return {**found, "per_query": outcome.per_query} if per_query else found

    if other is None:
        found = fields(one)
        return found if per_query else {name: found[name] for name in _PLAIN}
    return {**fields(one), "against": fields(other), "comparison": {c.measure: asdict(c) for c in comparisons}}


def _print(
    one: Outcome, other: Outcome | None, comparisons: Sequence[Comparison], judged: Judged, *, per_query: bool
) -> None:
    for outcome in (one, other):
        if outcome is not None:
            facts = outcome.facts
            print(f"{facts['collection']} ({facts['mode']}, index {facts['index']}, {facts['chunks']:,} chunks)")
            print("  " + "  ".join(f"{name} {value:.4f}" for name, value in outcome.means.items()))
            print(f"  {facts['queries']} queries, p50 {facts['p50_ms']} ms, p99 {facts['p99_ms']} ms")
            for note in outcome.notes[:3]:
                print(f"  note: {note}")
    if comparisons:
        header = ("measure", "first", "other", "difference", "95 % interval", "p", "better", "worse")
        rows = [
            (c.measure, f"{c.one:.4f}", f"{c.other:.4f}", f"{c.difference:+.4f}", f"{c.low:+.4f} … {c.high:+.4f}",
             f"{c.p:.4f}", str(c.better), str(c.worse))
            for c in comparisons
        ]
        print("\n" + table(rows, header))
        print("\n" + in_words(comparisons[0]))
    if per_query:
        worst_first = sorted(one.per_query.items(), key=lambda item: item[1]["ndcg@10"])
        lines = [
            (name, f"{found['ndcg@10']:.3f}", f"{found['recall@10']:.3f}", judged.queries[name][:80])
            for name, found in worst_first
        ]
        print("\n" + table(lines, ("query", "ndcg@10", "recall@10", "text")))
