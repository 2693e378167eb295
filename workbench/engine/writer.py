"""The writer process: puts vectors back into source order, commits units, builds the index; never torch."""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.collection.changes import stored_vectors, tail_is_small
from workbench.collection.reader import Collection
from workbench.collection.shards import Floats
from workbench.core.activity import Activity, Counter
from workbench.core.memory import let_go
from workbench.core.profile import IndexSection
from workbench.core.throttle import Throttle
from workbench.engine import wire
from workbench.engine.child import Child, ChildSpec, run_child
from workbench.engine.ring import RingShape, VectorRing
from workbench.engine.segment import Segment, SegmentName

#: Seconds without a message after which committed units are made durable.
_IDLE = 0.2


@dataclass(frozen=True, slots=True)
class WriterSpec:
    """What the writer needs besides what every child is told; picklable."""

    child: ChildSpec
    collection: str
    vectors: SegmentName
    shape: RingShape
    index: IndexSection
    write_bytes_per_second: int = 0


def main(spec: WriterSpec, pipe: Connection) -> None:
    """Entry point of the process."""
    run_child(spec.child, pipe, lambda child: _Writer(spec, child).run())


class _Assembly:
    """Vectors of one unit on their way back into source order."""

    def __init__(self, unit: wire.UnitPrepared, dim: int, dtype: str) -> None:
        self.unit = unit
        self.missing = unit.batches
        shape = (unit.rows, dim)
        self.vectors: Floats = (
            np.empty(shape, np.float16) if dtype == "float16" else np.empty(shape, np.float32)
        )

    def place(self, positions: NDArray[np.int32], vectors: NDArray[np.float32]) -> None:
        self.vectors[positions] = vectors
        self.missing -= 1


class _Writer:
    def __init__(self, spec: WriterSpec, child: Child) -> None:
        from workbench.collection.writer import CollectionWriter

        self._spec, self._link, self._meter = spec, child.link, child.meter
        self._ring = VectorRing(Segment.attach(spec.vectors).buffer, spec.shape)
        self._collection = CollectionWriter.attach(Path(spec.collection))
        self._units: dict[wire.Key, _Assembly] = {}
        self._before = self._collection.committed_units
        self._throttle = Throttle(spec.write_bytes_per_second)

    def run(self) -> None:
        held = self._collection
        self._link.send(wire.WriterReady(self._before, held.rows, held.rejects))
        self._meter.enter(Activity.WAIT_INPUT)
        running = True
        while running:
            message = self._link.receive(_IDLE if self._collection.pending else None)
            if message is None:
                with self._meter.doing(Activity.COMMIT):
                    self._tell(self._collection.flush())
            else:
                running = self._take(message)
        self._collection.close()
        self._meter.enter(Activity.ENDED)

    def _take(self, message: object) -> bool:
        match message:
            case wire.UnitPrepared():
                self._open(message)
            case wire.Encoded():
                self._place(message)
            case wire.Abandon(key):
                self._units.pop(key, None)
            case wire.Finish():
                self._finish(message)
            case wire.Stop():
                with self._meter.doing(Activity.COMMIT):
                    self._tell(self._collection.flush())
                return False
        return True

    def _open(self, unit: wire.UnitPrepared) -> None:
        if unit.key.unit in self._before:
            # The writer before ended between committing it and saying so, and it was done again before this one could
            # say what it holds. Its vectors, should they come, are let go.
            self._link.send(wire.Committed((unit.key.unit,), self._collection.rows, self._collection.rejects))
            return
        assembly = _Assembly(unit, self._spec.shape.dim, self._collection.dtype)
        if unit.reuse and not unit.rows and not unit.rejects:  # nothing new: no shard
            self._link.send(wire.Committed((unit.key.unit,), self._collection.rows, self._collection.rejects))
            return
        if unit.reuse:
            self._reuse(assembly)
        if unit.batches == 0:
            self._commit(assembly)
        else:
            self._units[unit.key] = assembly

    def _reuse(self, assembly: _Assembly) -> None:
        """Copy the vectors of rows whose text the collection has already."""
        addresses = np.load(self._collection.staging / assembly.unit.reuse)
        known = np.flatnonzero(addresses >= 0)
        if len(known):
            with self._meter.doing(Activity.ASSEMBLE), Collection.open(self._collection.path) as collection:
                assembly.vectors[known] = stored_vectors(collection, addresses[known])

    def _place(self, message: wire.Encoded) -> None:
        assembly = self._units.get(message.batch.key)
        if assembly is not None:
            with self._meter.doing(Activity.ASSEMBLE):
                assembly.place(*self._ring.get(message.slot, message.batch.rows))
        self._link.send(wire.SlotFree(message.slot))
        if assembly is not None and assembly.missing == 0:
            del self._units[message.batch.key]
            self._commit(assembly)

    def _commit(self, assembly: _Assembly) -> None:
        unit = assembly.unit
        staging = self._collection.staging
        chunks = (staging / unit.chunks_file).stat().st_size
        with self._meter.doing(Activity.WRITE):
            self._throttle.take(assembly.vectors.nbytes + chunks)
        with self._meter.doing(Activity.COMMIT):
            durable = self._collection.commit(
                unit.key.unit,
                staging / unit.chunks_file,
                assembly.vectors,
                staging / unit.rejects_file if unit.rejects_file else None,
                tokens=unit.tokens,
            )
        self._meter.add(Counter.UNITS, 1)
        self._meter.add(Counter.ROWS, unit.rows)
        self._meter.add(Counter.TOKENS, unit.tokens)
        self._meter.add(Counter.BYTES_WRITTEN, assembly.vectors.nbytes + chunks)
        self._tell(durable)

    def _tell(self, durable: tuple[int, ...]) -> None:
        if durable:
            self._link.send(wire.Committed(durable, self._collection.rows, self._collection.rejects))

    def _finish(self, message: wire.Finish) -> None:
        with self._meter.doing(Activity.COMMIT):
            self._tell(self._collection.flush())
        let_go()
        index: dict[str, str | float | None] = {}
        if message.build_index:
            options = self._spec.index
            with self._meter.doing(Activity.INDEX):
                if tail_is_small(self._collection.manifest):  # searched exactly until more has come together
                    index = self._collection.index_summary()
                else:
                    index = self._collection.build_index(
                        options.kind, rescore=options.rescore, nprobe=options.nprobe, sample=options.sample
                    )
            if options.text == "yes":  # after the vectors', whose index takes most memory: words leave some behind
                from workbench.collection.text_build import update

                with self._meter.doing(Activity.WRITE):  # what it takes does not depend on the kind of index
                    update(self._collection)
        self._link.send(wire.Finished(index))
