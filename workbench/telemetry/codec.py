"""Snapshots and run facts as JSON lines, and back. Compact: readings are arrays, in the order of their fields.

Reading is tolerant in one direction: a newer version may append fields (they are dropped) and an older one
may lack the last ones (they take their defaults). What is missing in the middle makes the line unreadable.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from workbench.core.activity import Activity
from workbench.telemetry.snapshot import (
    ForeignReading,
    GpuReading,
    ProcessReading,
    Progress,
    RingReading,
    RunFacts,
    Snapshot,
)

#: Version of the recording's format.
FORMAT = 1

T = TypeVar("T")


def dump_facts(facts: RunFacts) -> str:
    """First line of a recording."""
    values = {field.name: getattr(facts, field.name) for field in fields(facts)}
    values["settings"], values["encoder"] = dict(facts.settings), dict(facts.encoder)
    return json.dumps({"format": FORMAT, "facts": values}, ensure_ascii=False, separators=(",", ":"))


def load_facts(line: str) -> tuple[RunFacts, int]:
    """The facts and the format they were written in. Raises ValueError, KeyError or TypeError."""
    record = json.loads(line)
    known = {field.name for field in fields(RunFacts)}
    values: dict[str, Any] = {name: value for name, value in record["facts"].items() if name in known}
    values["flops_per_token"] = tuple(values.get("flops_per_token", (0.0, 0.0)))
    values["notes"] = tuple(values.get("notes", ()))
    return RunFacts(**values), int(record["format"])


def dump_snapshot(snapshot: Snapshot) -> str:
    """One line."""
    return json.dumps(_values(snapshot), ensure_ascii=False, separators=(",", ":"))


def load_snapshot(line: str) -> Snapshot:
    """Raises ValueError, KeyError, IndexError or TypeError when the line is not a whole snapshot."""
    values = json.loads(line)
    if not isinstance(values, list):
        raise ValueError("not a snapshot")
    known = _known(Snapshot, values)
    return Snapshot(
        **{
            **known,
            "processes": tuple(_process(item) for item in known["processes"]),
            "batches": _build(RingReading, known["batches"]),
            "vectors": _build(RingReading, known["vectors"]),
            "cpu_percent": tuple(known["cpu_percent"]),
            "gpus": tuple(_gpu(item) for item in known["gpus"]),
            "progress": _build(Progress, known["progress"]),
            "foreign": tuple(_build(ForeignReading, item) for item in known.get("foreign", ())),
        }
    )


def _values(value: Any) -> Any:
    """A dataclass as the list of its fields, tuples as lists, everything else as it is."""
    if hasattr(value, "__dataclass_fields__"):
        return [_values(getattr(value, name)) for name in value.__dataclass_fields__]
    if isinstance(value, tuple):
        return [_values(item) for item in value]
    return round(value, 3) if isinstance(value, float) else value


def _known(kind: type, values: Sequence[Any]) -> dict[str, Any]:
    names = [field.name for field in fields(kind)]
    needed = sum(field.default is MISSING and field.default_factory is MISSING for field in fields(kind))
    if len(values) < needed:
        raise ValueError(f"{kind.__name__} has {len(values)} values, not {needed}")
    return dict(zip(names, values, strict=False))


def _build(kind: type[T], values: Sequence[Any]) -> T:
    return kind(**_known(kind, values))


def _process(values: Sequence[Any]) -> ProcessReading:
    known: Mapping[str, Any] = _known(ProcessReading, values)
    state = known["state"]
    return ProcessReading(
        **{
            **known,
            # An activity of a newer version is not known here: the nearest truth is "busy with something".
            "state": Activity(state) if state in set(Activity) else Activity.STARTING,
            "activity_ns": tuple(known["activity_ns"]),
            "counters": tuple(known["counters"]),
            "activity_cpu_ns": tuple(known.get("activity_cpu_ns", ())),
        }
    )


def _gpu(values: Sequence[Any]) -> GpuReading:
    known = _known(GpuReading, values)
    throttle = known["throttle"]
    return GpuReading(**{**known, "throttle": None if throttle is None else tuple(throttle)})
