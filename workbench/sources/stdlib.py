"""Source of the embedded default: the documentation of the standard library on the user's own machine.

Nothing is shipped and no network is used: the docstring of every public module, class, function and method, read
from source without importing it (compiled modules through inspect). Title is the qualified name, text the
signature and the docstring.
"""

from __future__ import annotations

import platform
import sys

from workbench.core.activity import Activity, Meter
from workbench.core.throttle import Throttle
from workbench.core.units import Plan, SourceSpec, UnitSpec
from workbench.sources import cutting, files
from workbench.sources.base import TokenSpans, UnitRows
from workbench.sources.cut_rows import Part, cut_rows
from workbench.sources.rows import Rejects
from workbench.sources.stdlib_docs import DocReader
from workbench.sources.stdlib_modules import Modules
from workbench.text.documents import Section

_LEAST_BYTES = 32_768  # of source in a unit


class StdlibSource:
    """See the module. Units are ranges of top-level modules by name; extent = documents to take, "" for all."""

    def __init__(self, spec: SourceSpec, spans: TokenSpans | None = None) -> None:
        self._spec, self._spans = spec, spans
        self._modules = Modules()
        self._top = self._modules.top()
        self._throttle = Throttle(spec.read_bytes_per_second)

    def plan(self) -> Plan:
        """See `Source.plan`. How many documents there are is known only after reading, unless there is a limit."""
        sizes = [self._modules.size(name) for name in self._top]
        target = min(self._spec.unit_bytes, max(_LEAST_BYTES, sum(sizes) // (2 * cutting.LEAST_UNITS)))
        ranges = cutting.joined([cutting.Stretch(1, size) for size in sizes], len(sizes), target)
        if self._spec.limit:
            units = self._limited(ranges, sizes)
        else:
            units = [UnitSpec(i, "", a, b, None, sum(sizes[a:b])) for i, (a, b) in enumerate(ranges)]
        listing = [f"{name} {size}" for name, size in zip(self._top, sizes, strict=True)]
        identity = {
            "kind": "stdlib",
            "python": f"{platform.python_implementation()} {platform.python_version()} {sys.platform}",
            "content": files.combined([sys.version, *listing]),
            "plan": cutting.plan_hash(self._spec, units),
        }
        title = f"Python {sys.version_info.major}.{sys.version_info.minor} standard library"
        return Plan(tuple(units), identity, None, sum(unit.nbytes for unit in units), title)

    def read(self, unit: UnitSpec, meter: Meter) -> UnitRows:
        """See `Source.read`."""
        assert self._spans is not None, "reading needs token boundaries"
        rejects = Rejects()
        parts: list[Part] = []
        with meter.doing(Activity.READ):
            reader = DocReader(self._modules)
            nbytes = sum(self._modules.size(name) for name in self._top[unit.start : unit.stop])
            for number in range(unit.start, unit.stop):
                for doc in reader.read(self._top[number]):
                    section = Section((), doc.text, doc.line)
                    parts.append(Part(number, doc.name, f"{doc.name}#", doc.name, doc.place, section, bare=True))
            for place, reason in reader.unreadable:
                rejects.add(-1, "cannot be parsed", f"{place}: {reason}")
            self._throttle.take(nbytes)
        if unit.extent:
            parts = parts[: int(unit.extent)]
        with meter.doing(Activity.SLICE):
            return cut_rows(parts, self._spec, self._spans, rejects, unit.skip, nbytes)

    def _limited(self, ranges: list[tuple[int, int]], sizes: list[int]) -> list[UnitSpec]:
        """Units up to the limit; modules are read for counting only as far as it takes."""
        units: list[UnitSpec] = []
        left = self._spec.limit
        reader = DocReader(self._modules)
        for start, stop in ranges:
            count = sum(len(reader.read(name)) for name in self._top[start:stop])
            extent = str(left) if count > left else ""
            units.append(UnitSpec(len(units), extent, start, stop, None, sum(sizes[start:stop])))
            left -= count
            if left <= 0:
                break
        return units
