"""What travels over the pipes: small frozen values, sizes included. Bytes stay in shared memory.

Every child has one pipe, to the supervisor, and no child shares a lock with another: a child killed
in the middle of anything cannot block the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

from workbench.core.run import Failure
from workbench.core.units import UnitSpec
from workbench.encoders.base import EncoderInfo


@dataclass(frozen=True, slots=True)
class Key:
    """One attempt at one unit; what belongs to an older attempt is stale."""

    unit: int
    attempt: int


# ── supervisor → worker ──────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Lease:
    """Prepare this unit. `probe` = (begin, end): only try these rows, hand nothing over."""

    key: Key
    unit: UnitSpec
    probe: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Slots:
    """Free slots granted to the receiver: batch slots to a worker for the unit `key`, vector slots to an encoder.

    A worker ignores slots of a unit it no longer works on: the supervisor has taken them back.
    """

    numbers: tuple[int, ...]
    key: Key | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """Pack batches of at most so many tokens (padding included, where the encoder pads). The encoder knows it
    once its model is loaded."""

    tokens: int
    pads: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """Finish nothing more, leave."""


# ── worker → supervisor ──────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Ready:
    """The process has imported and attached everything (`seconds` since it began, `rss` in bytes)."""

    seconds: float
    rss: int


@dataclass(frozen=True, slots=True)
class UnitRead:
    """Rows of a unit after reading; known before anything that might crash on a row."""

    key: Key
    rows: int


@dataclass(frozen=True, slots=True)
class NeedSlots:
    """The unit is packed into so many batches; each needs a slot."""

    key: Key
    count: int


@dataclass(frozen=True, slots=True)
class UnitPrepared:
    """A unit's text part is in staging; `batches` batches belong to it.

    `reuse`: file in staging with int64 [rows]: address of a stored vector that fits, −1 for rows in batches; "" when
    all are.
    """

    key: Key
    rows: int
    rejects: int
    batches: int
    tokens: int
    chunks_file: str
    rejects_file: str
    reuse: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """A filled batch slot: rows, real tokens, tokens computed (padding included, where the encoder pads)."""

    key: Key
    number: int
    slot: int
    rows: int
    tokens: int
    padded: int


@dataclass(frozen=True, slots=True)
class ProbeOk:
    key: Key
    probe: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The worker touches no slot of this attempt any more; only now may they be given to others."""

    key: Key


@dataclass(frozen=True, slots=True)
class UnitFailed:
    """An exception (not a crash) while a unit was prepared."""

    key: Key
    failure: Failure


# ── encoder → supervisor ─────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class EncoderReady:
    info: EncoderInfo


@dataclass(frozen=True, slots=True)
class BudgetCut:
    """The device had no memory for a batch; from now on at most so many padded tokens."""

    token_budget: int


@dataclass(frozen=True, slots=True)
class Encoded:
    """Vectors of a batch are in a vector slot; the batch slot is free again."""

    batch: Batch
    slot: int
    dim: int


# ── supervisor ↔ writer ──────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Abandon:
    """Forget what came of this attempt (to the writer, and to the worker, which answers)."""

    key: Key


@dataclass(frozen=True, slots=True)
class Finish:
    """Everything is committed that will be: flush, and build the index when asked to."""

    build_index: bool


@dataclass(frozen=True, slots=True)
class WriterReady:
    """What the collection holds: units of this source, and its rows and rejects in all."""

    committed: frozenset[int]
    rows: int
    rejects: int


@dataclass(frozen=True, slots=True)
class SlotFree:
    """A vector slot has been copied out."""

    slot: int


@dataclass(frozen=True, slots=True)
class Committed:
    """Units that are durable now; rows and rejects the collection holds in all."""

    units: tuple[int, ...]
    rows: int
    rejects: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The writer is through; what it says of the index."""

    index: dict[str, str | float | None]


# ── any child → supervisor ───────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Failed:
    """The child cannot go on and leaves.

    `exit_code`: of an error that a new start would only meet again (2 wrong use or input, 1 anything else,
    such as a full disk); None for a crash, after which the process is started again.
    """

    failure: Failure
    exit_code: int | None = None


Message = (
    Ready | UnitRead | NeedSlots | UnitPrepared | Batch | ProbeOk | Abandoned | UnitFailed | EncoderReady
    | BudgetCut | Encoded | WriterReady | SlotFree | Committed | Finished | Failed
)
