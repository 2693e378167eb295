"""Stages run alone, each in processes of its own: what a stage could do if nothing else held it up.

The parts are the engine's own (`Preparer`, `open_encoder`, `CollectionWriter`); only the rings are missing.
Entry points are module-level functions, because the processes are spawned.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import pyarrow as pa

from workbench.collection.shards import Floats
from workbench.core.activity import Meter
from workbench.core.units import SourceSpec, UnitSpec
from workbench.diagnose import prepared
from workbench.diagnose.prepared import Packing
from workbench.encoders.base import EncoderSpec, ModelSpec, TokenBatch
from workbench.sources.base import Source


@dataclass(frozen=True, slots=True)
class Share:
    """What one process has to do: `index` of `of` processes, for `seconds`, over these units."""

    index: int
    of: int
    seconds: float
    units: tuple[UnitSpec, ...]
    source: SourceSpec
    model: ModelSpec
    staging: str
    compression: str
    budget: int
    batching: str
    batch_rows: int
    max_rows: int
    keep: str = ""  # folder for prepared batches, "" = keep none


@dataclass(frozen=True, slots=True)
class Replay:
    """What the encoder or writer has to do."""

    seconds: float
    encoder: EncoderSpec
    batches: str
    packing: Packing
    collection: str = ""
    dim: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """What a process did: tokens and rows in so many seconds of wall and CPU time.

    `threads`: of an encoder that computes on the CPU, else 0.
    """

    tokens: int
    rows: int
    nbytes: int
    seconds: float
    cpu_seconds: float
    note: str = ""
    threads: int = 0


def read_only(share: Share, pipe: Connection) -> None:
    """Read units, nothing else. `tokens` is 0: nobody has counted them."""
    from workbench.core.activity import NullMeter
    from workbench.sources.registry import open_source
    from workbench.text.tokenising import Tokeniser

    tokeniser = Tokeniser(share.model)
    source = open_source(share.source, tokeniser.spans)
    meter = NullMeter()
    source.read(share.units[share.index % len(share.units)], meter)  # opens files, maps what is mapped

    def one(unit: UnitSpec) -> tuple[int, int, int]:
        rows = source.read(unit, meter)
        return 0, int(rows.chunks.num_rows), int(rows.nbytes)

    _repeat(share, pipe, one)


def tokenise_only(share: Share, pipe: Connection) -> None:
    """Join, tokenise and pack texts that lie in memory."""
    from workbench.core.activity import NullMeter
    from workbench.sources.registry import open_source
    from workbench.text.joining import join
    from workbench.text.packing import pack
    from workbench.text.tokenising import Tokeniser

    tokeniser = Tokeniser(share.model)
    chunks = _some_chunks(open_source(share.source, tokeniser.spans), share, NullMeter())
    limit = share.budget if share.batching == "tokens" else share.batch_rows

    def one(_: UnitSpec) -> tuple[int, int, int]:
        texts = join(chunks.column("title"), chunks.column("text"), share.model.template)
        tokens = tokeniser.encode(texts, share.model.document_prefix)
        pack(tokens.lengths, limit, share.max_rows, share.batching)
        return int(tokens.lengths.sum()), int(chunks.num_rows), 0

    _repeat(share, pipe, one)


def _some_chunks(source: Source, share: Share, meter: Meter) -> pa.Table:
    """Rows of the process's own unit, or of the next one that has any: those of a unit may all be rejected."""
    at = share.index % len(share.units)
    for unit in (*share.units[at:], *share.units[:at]):
        chunks = source.read(unit, meter).chunks
        if chunks.num_rows:
            break
    return chunks


def worker_only(share: Share, pipe: Connection) -> None:
    """Everything a worker does to a unit: read, slice, tokenise, pack, gather, stage the text part."""
    from workbench.engine import wire
    from workbench.engine.prepare import Preparer
    from workbench.sources.registry import open_source
    from workbench.telemetry.board import ROW_BYTES, Board
    from workbench.text.packing import pack
    from workbench.text.tokenising import Tokeniser

    meter = Board(bytearray(ROW_BYTES), 1).row(0, os.getpid())
    preparer = Preparer(share.source, share.model, Path(share.staging), share.compression, meter)
    limit = share.budget if share.batching == "tokens" else share.batch_rows
    warm = open_source(share.source, Tokeniser(share.model).spans)
    warm.read(share.units[share.index % len(share.units)], meter)  # the disk's cache holds what is read next
    attempt = 0 if share.keep else (share.index + 1) * 1_000_000  # never the files that are kept

    def one(unit: UnitSpec) -> tuple[int, int, int]:
        nonlocal attempt
        attempt += 1
        made = preparer.prepare(
            wire.Lease(wire.Key(unit.number, attempt), unit), lambda _: None,
            lambda lengths: pack(lengths, limit, share.max_rows, share.batching),
        )
        batches = [made.gather(rows) for rows in made.batches]
        if share.keep:
            texts = [text for rows in made.batches for text in made.texts_of(rows)]
            prepared.keep(Path(share.keep), unit.number, batches, texts)
        else:
            (Path(share.staging) / made.summary.chunks_file).unlink()
        return made.summary.tokens, made.summary.rows, 0

    _repeat(share, pipe, one, once=bool(share.keep))


def encoder_only(replay: Replay, pipe: Connection) -> None:
    """Compute prepared batches over and over, keeping the device as full as the pipeline would."""
    from collections import deque

    from workbench.core.activity import NullMeter
    from workbench.encoders.registry import open_encoder

    encoder = open_encoder(replay.encoder)
    info = encoder.load()
    batches = prepared.repacked(Path(replay.batches), replay.packing, info)
    # Units begin with their longest rows: shuffled, a short time sees lengths as the whole run does.
    batches = [batches[i] for i in np.random.default_rng(0).permutation(len(batches))]
    meter = NullMeter()
    encoder.submit(batches[0], meter).vectors()  # allocations and kernel choice are not part of the rate
    _ready(pipe)
    began, cpu, tokens, rows, i = perf_counter(), process_time(), 0, 0, 0
    flight: deque[tuple[TokenBatch, object]] = deque()
    while perf_counter() - began < replay.seconds or i < 4:
        batch = batches[i % len(batches)]
        i += 1
        flight.append((batch, encoder.submit(batch, meter)))
        while len(flight) >= encoder.depth:
            done, pending = flight.popleft()
            pending.vectors()  # type: ignore[attr-defined]
            tokens, rows = tokens + len(done.ids), rows + len(done.lengths)
    seconds, cpu_seconds = perf_counter() - began, process_time() - cpu
    pipe.send(Done(tokens, rows, 0, seconds, cpu_seconds, f"{info.device_name}, {info.dtype}", info.threads))
    encoder.close()


def writer_only(replay: Replay, pipe: Connection) -> None:
    """Commit prepared units with ready vectors: assemble, shard, fsync, manifest; until they are used up."""
    from workbench.collection.writer import CollectionWriter

    collection = CollectionWriter.attach(Path(replay.collection))
    units = prepared.sizes(Path(replay.batches))
    most = max(rows for _, rows, _ in units)
    vectors = np.random.default_rng(0).standard_normal((most, replay.dim)).astype(np.float32)
    half = collection.dtype == "float16"
    files = {path.name.split(".")[0]: path for path in collection.staging.glob("*.chunks.parquet")}
    _ready(pipe)
    began, cpu, tokens, done = perf_counter(), process_time(), 0, 0
    for number, rows, count in units:
        shape = (rows, replay.dim)
        place: Floats = np.empty(shape, np.float16) if half else np.empty(shape, np.float32)
        place[np.arange(rows)[::-1]] = vectors[:rows]  # what putting vectors back into source order costs
        collection.commit(number, files[f"{number:08d}"], place, None, tokens=count)
        tokens, done = tokens + count, done + rows
    collection.flush()
    pipe.send(Done(tokens, done, 0, perf_counter() - began, process_time() - cpu))
    collection.close()


def _repeat(
    share: Share, pipe: Connection, one: Callable[[UnitSpec], tuple[int, int, int]], *, once: bool = False
) -> None:
    """Do this process's units until the time is over (at least one), and tell what came of it.

    `once`: each unit once, and on until one had rows.
    """
    mine = share.units[share.index :: share.of] or share.units[:1]
    _ready(pipe)
    began, cpu = perf_counter(), process_time()
    tokens = rows = nbytes = 0
    for unit in _forever(mine) if not once else iter(mine):
        more = one(unit)
        tokens, rows, nbytes = tokens + more[0], rows + more[1], nbytes + more[2]
        if perf_counter() - began >= share.seconds and (rows or not once):
            break
    pipe.send(Done(tokens, rows, nbytes, perf_counter() - began, process_time() - cpu))


def _forever(units: tuple[UnitSpec, ...]) -> Iterator[UnitSpec]:
    while True:
        yield from units


def _ready(pipe: Connection) -> None:
    """Everything is imported and open: wait for the word to begin, so that all begin together."""
    pipe.send("ready")
    pipe.recv()
