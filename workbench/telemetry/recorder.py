"""Recording a run as JSON lines, and loading such a recording as far as it goes.

`samples.jsonl`: first line the run's facts and the format version, then one snapshot a line. After the first
`DENSE` snapshots (a quarter of an hour at 4 Hz) only every fourth is kept, so that a night's run stays small:
counters are monotonic, nothing but resolution is lost.
"""

from __future__ import annotations

import platform as _platform
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from workbench.core.activity import Activity, Counter
from workbench.core.errors import UsageError
from workbench.telemetry.codec import FORMAT, dump_facts, dump_snapshot, load_facts, load_snapshot
from workbench.telemetry.snapshot import RunFacts, Snapshot

SAMPLES = "samples.jsonl"
DENSE = 3600
THINNED = 4
_FLUSH_EVERY = 8  # snapshots: what a killed parent may lose is two seconds


class Recorder:
    """Appends snapshots to `folder/samples.jsonl`.

    A disk that cannot take them ends the recording, never the run; `failure` then says why.
    """

    def __init__(self, folder: Path, facts: RunFacts) -> None:
        self._file: TextIO | None = None
        self._count = 0
        self.failure: OSError | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / SAMPLES).open("w", encoding="utf-8", newline="\n")
            self._file.write(dump_facts(facts) + "\n")
            self._file.flush()
        except OSError as error:
            self._give_up(error)

    def append(self, snapshot: Snapshot) -> None:
        self._count += 1
        if self._file is None or (self._count > DENSE and self._count % THINNED):
            return
        try:
            self._file.write(dump_snapshot(snapshot) + "\n")
            if self._count % _FLUSH_EVERY == 0:
                self._file.flush()
        except OSError as error:
            self._give_up(error)

    def update(self, facts: RunFacts) -> None:
        """Facts that became known later (what the encoder became after loading); they replace the first ones."""
        if self._file is None:
            return
        try:
            self._file.write(dump_facts(facts) + "\n")
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                self.failure = error
            self._file = None

    def _give_up(self, error: OSError) -> None:
        self.failure = error
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError:
                pass


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded run: facts, snapshots in time order, and notes on what could not be read."""

    path: Path
    facts: RunFacts
    snapshots: tuple[Snapshot, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Load a recording (the file, or the run's folder) as far as it goes.

        A line that is cut off or unknown is left out and noted; a newer format and another machine are noted.
        Raises UsageError when there is no such file, or its first line does not say what was run.
        """
        file = path / SAMPLES if path.is_dir() else path
        lines = _read(file)
        facts, version = _facts(lines[0], file)
        notes: list[str] = []
        if version > FORMAT:
            notes.append(
                f"the recording is of format {version}, this program knows {FORMAT}: read as far as it goes"
            )
        samples = []
        for line in lines[1:]:
            if line.startswith('{"format"'):
                facts = _later(line, facts)
            else:
                samples.append(line)
        snapshots, bad = _snapshots(samples)
        if bad:
            notes.append(f"{bad} of {len(samples)} snapshots could not be read (cut off or of another version)")
        if not snapshots:
            notes.append("the recording holds no snapshot: the run ended before its first second was over")
        here = machine()
        if facts.platform != here:
            notes.append(f"recorded on another machine ({facts.platform}); ceilings of this one do not apply")
        return cls(file, facts, tuple(snapshots), tuple(notes))


def machine() -> str:
    """This machine in one line, as recorded in `RunFacts.platform`."""
    return f"{_platform.system()} {_platform.machine()} {_platform.node()}".strip()


def _read(file: Path) -> list[str]:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(
            f"no recording here: {error.strerror or error}", where=str(file),
            remedy="`diagnose --in COLLECTION` takes the last run of a collection",
        ) from error
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise UsageError("the recording is empty", where=str(file), remedy="The run ended before it began")
    return lines


def _facts(line: str, file: Path) -> tuple[RunFacts, int]:
    try:
        return load_facts(line)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            "not a recording of a run: its first line does not say what was run", where=str(file),
            remedy="A recording is the samples.jsonl in a run's folder",
        ) from error


def _later(line: str, facts: RunFacts) -> RunFacts:
    try:
        return load_facts(line)[0]
    except (ValueError, KeyError, TypeError, AttributeError):
        return facts  # cut off while it was written: the earlier facts stand


def _snapshots(lines: list[str]) -> tuple[list[Snapshot], int]:
    """Readable snapshots, time going forward, and how many lines were not."""
    found: list[Snapshot] = []
    bad = 0
    for line in lines:
        try:
            snapshot = load_snapshot(line)
            _check(snapshot)
        except (ValueError, KeyError, IndexError, TypeError):
            bad += 1
            continue
        if found and snapshot.time_ns <= found[-1].time_ns:
            bad += 1
            continue
        found.append(snapshot)
    return found, bad


def _check(snapshot: Snapshot) -> None:
    """A recording of a newer version may hold more columns; fewer than we know are filled with zeros later."""
    for process in snapshot.processes:
        if process.activity_ns and len(process.activity_ns) < int(Activity.ENDED):
            raise ValueError("too few activities")
        if process.counters and len(process.counters) <= int(Counter.BATCHES):
            raise ValueError("too few counters")
