"""`workbench info`: what a collection holds, how it was made, how large it is. Reads the manifest only."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cli.common import add_collection, add_json, print_json, program, size, table
from workbench.core import paths
from workbench.tui.text import many

if TYPE_CHECKING:
    from workbench.cli.common import Subparsers
    from workbench.collection.manifest import Manifest

DESCRIPTION = """\
Shows chunks, sources, encoder identity, index with its measured recall@10, sizes and runs of a collection.
Nothing but the manifest is read; `{program} verify` checks the files."""


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "info", help="what a collection holds and how it was made", description=DESCRIPTION.format(program=program()),
    )
    add_collection(parser)
    add_json(parser)


def execute(args: argparse.Namespace) -> int:
    from workbench.collection.store import Store

    path = paths.chosen_collection(args.collection)
    loaded = Store(path).load_or_fall_back()
    content = describe(path, loaded.manifest)
    content["notes"] = [loaded.trouble] if loaded.trouble else []
    if args.json:
        print_json(content)
    else:
        print(text(content))
    return 0


def describe(path: Path, manifest: Manifest) -> dict[str, Any]:
    """The object of `info --json`."""
    from workbench.collection.store import Store
    from workbench.collection.writer import CollectionWriter

    shards = manifest.shards
    state = CollectionWriter(Store(path), manifest, None)  # without a lock: it is only asked
    sizes = {
        "texts": sum(shard.chunks.size for shard in shards),
        "vectors": sum(shard.vectors.size for shard in shards),
        "derived": sum(entry.size for part in manifest.derived for entry in part.files),
    }
    return {
        "collection": str(path),
        "chunks": manifest.rows,
        "deleted": sum(shard.deleted for shard in shards),
        "rejects": manifest.rejects,
        "tokens": manifest.tokens,
        "shards": len(shards),
        "dim": manifest.dim,
        "dtype": manifest.dtype,
        "metric": manifest.metric,
        "manifest": manifest.number,
        "changed": manifest.created,
        "identity": dict(manifest.identity),
        "sources": [{"title": item.title, "identity": dict(item.identity)} for item in manifest.sources],
        "index": state.index_summary(),
        "index_is_complete": state.has_index,
        "bytes": {**sizes, "total": sum(sizes.values())},
        "runs": sorted(run.name for run in (path / "runs").glob("*") if run.is_dir()),
    }


def text(content: dict[str, Any]) -> str:
    """The same for people."""
    sizes, index = content["bytes"], content["index"]
    deleted = f" ({content['deleted']:,} more deleted)" if content["deleted"] else ""
    rows = [
        ("collection", content["collection"]),
        ("chunks", f"{content['chunks']:,}{deleted}, {content['tokens']:,} tokens"),
        ("rejects", f"{content['rejects']:,}" + (" (reasons in rejects/)" if content["rejects"] else "")),
        *(("source", title) for title in dict.fromkeys(item["title"] for item in content["sources"])),
        ("vectors", f"{content['dim']} × {content['dtype']}, compared by {content['metric'].replace('_', ' ')}"),
        ("index", _index(index, content["index_is_complete"])),
        ("size", f"{size(sizes['total'])}: texts {size(sizes['texts'])}, vectors {size(sizes['vectors'])}, "
                 f"derived {size(sizes['derived'])}"),
        ("changed", f"{content['changed']}, manifest {content['manifest']}, {many(content['shards'], 'shard')}"),
        ("runs", str(len(content["runs"]))),
    ]
    identity = table([(key, value.replace("\n", "\\n")) for key, value in content["identity"].items()], indent="  ")
    notes = [f"\nnote: {note}" for note in content["notes"]]
    return "\n".join([table(rows), "encoder", identity, *notes])


def _index(index: dict[str, Any], complete: bool) -> str:
    recall = index.get("recall_at_10")
    words = [str(index.get("kind", "?"))]
    if recall is not None:
        words.append(f"recall@10 {recall:.4f}")
    if not complete and index.get("kind") != "none":
        words.append(f"does not cover every shard; the next run or `{program()} index` completes it")
    return ", ".join(words)
