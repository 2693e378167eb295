"""Docstrings of the standard library: read from source without importing, through inspect for compiled modules.

Names are the public ones: what a public module takes from a private or compiled module, or a package from its own
submodules, is told under the name users write (`collections.deque`, `unittest.TestCase`, `os.path.join`).
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from workbench.sources import stdlib_compiled as compiled
from workbench.sources.stdlib_definitions import Definition, Doc, definition_docs, statements
from workbench.sources.stdlib_modules import Module, Modules, is_private


@dataclass(frozen=True, slots=True)
class _Import:
    """`from module import names`; a name is (there, here), ("*", "*") for all."""

    module: str
    names: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Parsed:
    module: Module
    doc: str
    definitions: dict[str, Definition] = field(default_factory=dict)
    imports: list[_Import] = field(default_factory=list)
    exported: set[str] | None = None  # `__all__`, when it is written out
    modules: dict[str, str] = field(default_factory=dict)  # `import x as y`: y → x
    assigned: dict[str, ast.expr] = field(default_factory=dict)  # `name = …`


class DocReader:
    """Reads the docstrings of top-level modules, one after another."""

    def __init__(self, modules: Modules) -> None:
        self._modules = modules
        self._parsed: dict[str, _Parsed | None] = {}
        self.unreadable: list[tuple[str, str]] = []  # (file, reason)

    def read(self, top: str) -> list[Doc]:
        """All public docstrings of a top-level module and its submodules, each name once.

        What cannot be parsed is added to `unreadable`.
        """
        found: dict[str, Doc] = {}
        names = self._modules.of(top)
        parsed = [item for name in names if (item := self._parse(name)) is not None]
        elsewhere = self._moved(parsed)
        for item in parsed:
            for doc in self._own(item, elsewhere):
                found.setdefault(doc.name, doc)
            for doc in self._renamed(item):
                found.setdefault(doc.name, doc)
            for doc in self._taken(item, found):
                found.setdefault(doc.name, doc)
        found = _lifted(found, parsed)
        if not names:
            for name, text in compiled.docs(self._modules, top, compiled.public_name(top)):
                found.setdefault(name, Doc(name, text, "built-in", 0))
        self._parsed.clear()
        return list(found.values())

    def _parse(self, name: str) -> _Parsed | None:
        if name not in self._parsed:
            module = self._modules.find(name)
            self._parsed[name] = None if module is None else self._parse_file(module)
        return self._parsed[name]

    def _parse_file(self, module: Module) -> _Parsed | None:
        try:
            tree = ast.parse(module.path.read_bytes())
        except (SyntaxError, ValueError, OSError, RecursionError) as error:
            self.unreadable.append((module.place, str(error)))
            return None
        parsed = _Parsed(module, ast.get_docstring(tree) or "")
        for node in statements(tree.body):
            if isinstance(node, Definition):
                parsed.definitions.setdefault(node.name, node)
            elif isinstance(node, ast.ImportFrom):
                source = _absolute(module, node)
                parsed.imports.append(_Import(source, tuple((n.name, n.asname or n.name) for n in node.names)))
            elif isinstance(node, ast.Import):
                parsed.modules.update((n.asname or n.name, n.name) for n in node.names)
            elif isinstance(node, ast.Assign | ast.AugAssign):
                _note_assignment(node, parsed)
            self._note_special(node, parsed)
        return parsed

    def _note_special(self, node: ast.stmt, parsed: _Parsed) -> None:
        """Two ways to lend: `splitext.__doc__ = genericpath._splitext.__doc__`, `sys.modules[__name__] = other`."""
        match node:
            case ast.Assign(
                targets=[ast.Subscript(value=ast.Attribute(attr="modules"), slice=ast.Name(id="__name__"))],
                value=ast.Name(id=module),
            ) if module in parsed.modules:
                parsed.imports.append(_Import(parsed.modules[module], (("*", "*"),)))
            case ast.Assign(
                targets=[ast.Attribute(value=ast.Name(id=name), attr="__doc__")],
                value=ast.Attribute(value=ast.Attribute(value=ast.Name(id=module), attr=there), attr="__doc__"),
            ) if name in parsed.definitions and module in parsed.modules:
                source = self._parse(parsed.modules[module])
                doc = ast.get_docstring(source.definitions[there]) if source and there in source.definitions else None
                if doc and not ast.get_docstring(parsed.definitions[name]):
                    parsed.definitions[name].body.insert(0, ast.Expr(ast.Constant(doc)))

    def _moved(self, parsed: list[_Parsed]) -> dict[tuple[str, str], str]:
        """Names a package takes from its own submodules: (submodule, name) → public name."""
        moved: dict[tuple[str, str], str] = {}
        for item in parsed:
            package = item.module.name
            for taken in item.imports:
                inside = taken.module.startswith(f"{package}.") and not is_private(taken.module)
                source = self._parse(taken.module) if item.module.package and inside else None
                if source is not None:
                    for there, here in _names(taken, source):
                        if _public(item, here, taken):
                            moved.setdefault((taken.module, there), f"{package}.{here}")
            for name in (item.exported or set()) - set(item.definitions) if item.module.package else ():
                homes = [other for other in parsed if name in other.definitions and _inside(other, item)]
                if len(homes) == 1:  # given on demand, by __getattr__
                    moved.setdefault((homes[0].module.name, name), f"{package}.{name}")
        return moved

    def _own(self, item: _Parsed, elsewhere: dict[tuple[str, str], str]) -> Iterator[Doc]:
        name = item.module.public
        if item.doc.strip():
            yield Doc(name, item.doc, item.module.place, 1)
        for short, node in item.definitions.items():
            if not short.startswith("_"):
                public = elsewhere.get((item.module.name, short), f"{name}.{short}")
                yield from definition_docs(node, public, item.module.place)

    def _renamed(self, item: _Parsed) -> Iterator[Doc]:
        """Second names: `insort = insort_right`, `shuffle = _inst.shuffle`, `Lock = _thread.allocate_lock`."""
        for name, value in item.assigned.items():
            hidden = name.startswith("_") or (item.exported is not None and name not in item.exported)
            if hidden or name in item.definitions:
                continue
            public = f"{item.module.public}.{name}"
            node = _resolved(value, item)
            if isinstance(node, Definition):
                yield from definition_docs(node, public, item.module.place)
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                module = item.modules.get(node.value.id, "")
                if is_private(module):
                    for found, text in compiled.docs(self._modules, module, item.module.public, {node.attr: name}):
                        yield Doc(found, text, "built-in", 0)

    def _taken(self, item: _Parsed, known: Mapping[str, Doc]) -> Iterator[Doc]:
        """What a module takes from private modules, those with source first: their docstrings say more."""
        private = [taken for taken in item.imports if self._modules.hidden(taken.module)]
        with_source = [(taken, self._parse(taken.module)) for taken in private]
        for taken, source in with_source:
            if source is not None:
                for there, here in _names(taken, source):
                    node = source.definitions.get(there)
                    if node is not None and _public(item, here, taken):
                        yield from definition_docs(node, f"{item.module.public}.{here}", source.module.place)
                if source.imports and taken.names == (("*", "*"),):
                    yield from self._through(item, source)
        for taken, source in with_source:
            if source is None:
                yield from self._compiled(item, taken, known)

    def _compiled(self, item: _Parsed, taken: _Import, known: Mapping[str, Doc]) -> Iterator[Doc]:
        public = item.module.public
        only = None if taken.names == (("*", "*"),) else _without_private(taken.names)
        told = set(item.definitions) | {name.removeprefix(f"{public}.") for name in known}
        if only is not None and told.issuperset(only.values()):
            return  # importing some compiled modules imports the package they belong to
        for name, text in compiled.docs(self._modules, taken.module, public, only):
            if _public(item, name.removeprefix(f"{public}.").split(".")[0], taken):
                yield Doc(name, text, "built-in", 0)

    def _through(self, item: _Parsed, source: _Parsed) -> Iterator[Doc]:
        """What the hidden module takes from other hidden modules (`posixpath` from `genericpath`)."""
        for taken in source.imports:
            deeper = self._parse(taken.module) if self._modules.hidden(taken.module) else None
            if deeper is not None and deeper is not item:
                for there, here in _names(taken, deeper):
                    node = deeper.definitions.get(there)
                    if node is not None and not here.startswith("_"):
                        yield from definition_docs(node, f"{item.module.public}.{here}", deeper.module.place)


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    """Absolute name of the module an import takes from."""
    if not node.level:
        name = node.module or ""
        return os.path.__name__ if name == "os.path" else name
    parts = module.name.split(".")
    base = parts[: len(parts) - node.level + (1 if module.package else 0)]
    return ".".join([*base, *([node.module] if node.module else [])])


def _note_assignment(node: ast.Assign | ast.AugAssign, parsed: _Parsed) -> None:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    if "__all__" not in names:
        parsed.assigned.update(dict.fromkeys(names, node.value))
    elif isinstance(node.value, ast.List | ast.Tuple):
        values = [item.value for item in node.value.elts if isinstance(item, ast.Constant)]
        parsed.exported = {value for value in values if isinstance(value, str)} | (parsed.exported or set())


def _without_private(names: tuple[tuple[str, str], ...]) -> dict[str, str]:
    return {there: here for there, here in names if not here.startswith("_")}


def _inside(module: _Parsed, package: _Parsed) -> bool:
    return module.module.name.startswith(f"{package.module.name}.")


def _resolved(value: ast.expr | None, item: _Parsed, depth: int = 4) -> ast.AST | None:
    """What an assigned expression names: a definition, a method of an instance made here, or module.name."""
    if depth == 0 or value is None:
        return None
    if isinstance(value, ast.Name):
        return item.definitions.get(value.id) or _resolved(item.assigned.get(value.id), item, depth - 1)
    if isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name):
        made = item.assigned.get(value.value.id)
        name = made.func.id if isinstance(made, ast.Call) and isinstance(made.func, ast.Name) else value.value.id
        owner = item.definitions.get(name)
        if owner is not None:
            inner = owner.body if isinstance(owner, ast.ClassDef) else []
            methods = [node for node in inner if isinstance(node, Definition) and node.name == value.attr]
            return methods[0] if methods else None
        return value
    return None


def _lifted(found: dict[str, Doc], parsed: Sequence[_Parsed]) -> dict[str, Doc]:
    """A package that takes all of a submodule tells its names as its own (`sqlite3.dbapi2.connect`)."""
    stars = {
        f"{taken.module}.": f"{item.module.name}."
        for item in parsed if item.module.package
        for taken in item.imports
        if taken.names == (("*", "*"),) and taken.module.startswith(f"{item.module.name}.")
    }
    result: dict[str, Doc] = {}
    for name, doc in found.items():
        prefix = next((prefix for prefix in stars if name.startswith(prefix)), "")
        new = stars[prefix] + name.removeprefix(prefix) if prefix else name
        result.setdefault(new if new not in found else name, replace(doc, name=new if new not in found else name))
    return result


def _names(taken: _Import, source: _Parsed) -> list[tuple[str, str]]:
    if taken.names != (("*", "*"),):
        return list(taken.names)
    known = source.exported if source.exported is not None else set(source.definitions)
    return [(name, name) for name in sorted(known) if not name.startswith("_")]


def _public(item: _Parsed, name: str, taken: _Import) -> bool:
    if name.startswith("_"):
        return False
    return item.exported is None or name in item.exported or taken.names == (("*", "*"),)
