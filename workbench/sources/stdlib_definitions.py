"""What one definition in a source file says about itself: its signature and docstring."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Doc:
    """One documented name: `name` is qualified, `text` its signature and docstring, `line` 0 when compiled."""

    name: str
    text: str
    place: str
    line: int


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a module, those under if, try and with included."""
    for node in body:
        yield node
        for name in ("body", "orelse", "handlers", "finalbody"):
            inner = getattr(node, name, None)
            if inner and isinstance(node, ast.If | ast.Try | ast.With | ast.ExceptHandler):
                yield from statements(inner)


def definition_docs(node: Definition, name: str, place: str) -> Iterator[Doc]:
    """Docstring of a definition, and of the public definitions inside a class."""
    doc = ast.get_docstring(node)
    if not doc and isinstance(node, ast.ClassDef):
        inits = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
        doc = ast.get_docstring(inits[0]) if inits else None
    if doc and doc.strip():
        yield Doc(name, f"{_signature(node, name)}\n\n{doc}", place, node.lineno)
    if isinstance(node, ast.ClassDef):
        seen: set[str] = set()
        for inner in statements(node.body):
            if isinstance(inner, Definition) and not inner.name.startswith("_") and inner.name not in seen:
                seen.add(inner.name)
                yield from definition_docs(inner, f"{name}.{inner.name}", place)


def _signature(node: Definition, name: str) -> str:
    short = name.rpartition(".")[2]
    if not isinstance(node, ast.ClassDef):
        arguments = ast.unparse(node.args)
        return f"{short}({arguments.removeprefix('self').removeprefix(', ') if _is_method(node) else arguments})"
    for inner in node.body:
        if isinstance(inner, ast.FunctionDef) and inner.name == "__init__":
            arguments = ast.unparse(inner.args)
            return f"class {short}({arguments.removeprefix('self').removeprefix(', ')})"
    bases = ", ".join(text for base in node.bases if (text := ast.unparse(base)) != "object")
    return f"class {short}({bases})" if bases else f"class {short}"


def _is_method(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    first = [*node.args.posonlyargs, *node.args.args][:1]
    return bool(first) and first[0].arg == "self"
