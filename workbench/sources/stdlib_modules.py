"""Which modules the standard library of this Python has, and where their source is. Imports none of them."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from pathlib import Path

from workbench.core.errors import UsageError

#: Left out: they act when imported or hold no documentation of an interface.
SKIPPED = frozenset({"this", "antigravity", "idlelib", "turtledemo", "test", "readline", "rlcompleter"})
_SKIPPED_FOLDERS = frozenset({"test", "tests", "idle_test", "__pycache__"})
#: Told as part of another module: the platform's calls as `os`, the path functions as `os.path`.
_PARTS = frozenset({"posix", "nt", "posixpath", "ntpath", "genericpath"})


@dataclass(frozen=True, slots=True)
class Module:
    """A module with source. `place` is its file inside the library, `package` says that it is an `__init__`."""

    name: str
    path: Path
    place: str
    package: bool

    @property
    def public(self) -> str:
        """Name users write."""
        return "os.path" if self.name == os.path.__name__ else self.name


def is_private(name: str) -> bool:
    """Whether any part of a dotted name starts with an underscore."""
    return any(part.startswith("_") for part in name.split("."))


class Modules:
    """The modules of the library around `os.py`."""

    def __init__(self, folder: Path | None = None) -> None:
        """Raises UsageError when this Python comes without the source of its library."""
        self.folder = folder or Path(os.__file__).parent
        if not (self.folder / "os.py").is_file():
            raise UsageError(
                "this Python comes without the source of its standard library", where=str(self.folder),
                remedy="Name files to embed, or use a Python that was installed in full",
            )

    def top(self) -> list[str]:
        """Public top-level modules in order of name; the module of `os.path` is among them."""
        names = set(sys.stdlib_module_names) - SKIPPED - _PARTS | {os.path.__name__}
        return sorted(name for name in names if not name.startswith("_") and self._exists(name))

    def of(self, top: str) -> list[str]:
        """The module and its public submodules that have source; none for a compiled module."""
        first = self.find(top)
        if first is None:
            return []
        return [top, *(sorted(self._below(first.path.parent, top)) if first.package else [])]

    def find(self, name: str) -> Module | None:
        """Module with source, or None."""
        base = self.folder.joinpath(*name.split("."))
        for path, package in ((base / "__init__.py", True), (base.with_name(base.name + ".py"), False)):
            if path.is_file():
                return Module(name, path, path.relative_to(self.folder).as_posix(), package)
        return None

    def size(self, top: str) -> int:
        """Bytes of source of a top-level module; a fixed figure for a compiled one."""
        modules = [found for name in self.of(top) if (found := self.find(name)) is not None]
        return sum(module.path.stat().st_size for module in modules) or 16_384

    def hidden(self, name: str) -> bool:
        """Whether users do not write this name: private modules and the parts of `os`."""
        return is_private(name) or name in _PARTS

    def compiled(self, name: str) -> bool:
        """Whether a module is built in or a compiled part of the library: importing it runs no Python code."""
        if name in sys.builtin_module_names:
            return True
        if name not in sys.stdlib_module_names or name in SKIPPED or name.startswith(("_test", "_xx", "xx")):
            return False
        spec = PathFinder.find_spec(name)
        return spec is not None and (spec.origin or "").endswith(tuple(EXTENSION_SUFFIXES))

    def _exists(self, name: str) -> bool:
        return self.find(name) is not None or self.compiled(name)

    def _below(self, folder: Path, prefix: str) -> list[str]:
        names: list[str] = []
        for path in folder.iterdir():
            name = f"{prefix}.{path.stem}"
            if path.name.startswith(("_", ".")) or path.name in _SKIPPED_FOLDERS:
                continue
            if path.suffix == ".py":
                names.append(name)
            elif path.is_dir() and (path / "__init__.py").is_file():
                names += [name, *self._below(path, name)]
        return names
