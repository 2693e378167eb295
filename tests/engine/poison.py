"""Process bodies for tests: a worker that a certain text kills, an encoder that cannot start."""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from workbench.collection.writer import CollectionWriter
from workbench.engine import child, worker, writer
from workbench.engine.encoder import EncoderProcessSpec
from workbench.engine.prepare import Preparer
from workbench.text import tokenising

WORD = "POISONOUS"
_real_main = worker.main
_real_encode = tokenising.Tokeniser.encode
_real_writer_main = writer.main


def _deadly(self: tokenising.Tokeniser, texts: Sequence[str], prefix: str = "") -> tokenising.Tokens:
    if any(WORD in text for text in texts):
        os._exit(77)  # as a fault in native code would
    return _real_encode(self, texts, prefix)


def worker_main(spec: worker.WorkerSpec, pipe: Connection) -> None:
    """The worker's entry point with a tokenizer that dies of one word."""
    tokenising.Tokeniser.encode = _deadly  # type: ignore[method-assign]
    _real_main(spec, pipe)


def broken_main(spec: EncoderProcessSpec, pipe: Connection) -> None:
    """An encoder that fails at every start."""
    child.run_child(spec.child, pipe, _fail)


def _fail(_: child.Child) -> None:
    raise RuntimeError("no such luck")


def crashing_main(spec: EncoderProcessSpec, pipe: Connection) -> None:
    """An encoder that ends in native code at every start."""
    child.run_child(spec.child, pipe, _crash)


def _crash(_: child.Child) -> None:
    faulthandler._sigsegv()  # type: ignore[attr-defined]


def unstaged_main(spec: worker.WorkerSpec, pipe: Connection) -> None:
    """A worker that fails at unit 1 after its rows were counted, whatever they are."""
    real_stage = Preparer._stage

    def stage(self: Preparer, chunks: object, hashes: object, path: Path) -> None:
        if path.name.startswith("00000001."):
            raise ValueError("cannot be staged")
        real_stage(self, chunks, hashes, path)  # type: ignore[arg-type]

    Preparer._stage = stage  # type: ignore[assignment, method-assign]
    _real_main(spec, pipe)


def mute_main(spec: writer.WriterSpec, pipe: Connection) -> None:
    """A writer that ends, once, when units are durable and before it can say so."""
    mark = Path(spec.collection).with_suffix(".ended")
    real_flush = CollectionWriter.flush

    def flush(self: CollectionWriter) -> tuple[int, ...]:
        units = real_flush(self)
        if units and not mark.exists():
            mark.write_text(str(units), encoding="utf-8")
            os._exit(77)
        return units

    CollectionWriter.flush = flush  # type: ignore[method-assign]
    _real_writer_main(spec, pipe)
