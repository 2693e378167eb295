"""Docstrings of compiled modules of the standard library, through inspect."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from workbench.sources.stdlib_modules import Modules

_SELF = re.compile(r"\(\$\w+(?:, /)?(?:, )?")  # the object itself, marked with $


def public_name(module: str) -> str:
    """Name in front of what a compiled module holds; nobody writes `builtins.` in front of `str.split`."""
    return "" if module == "builtins" else module


def docs(
    modules: Modules, name: str, public: str, only: Mapping[str, str] | None = None
) -> Iterator[tuple[str, str]]:
    """(qualified name, signature and docstring) of the public parts of a compiled module.

    Args:
        public: name of the module that users write; "" for none.
        only: names to tell, there → here; None for all, and then the module's own docstring too.
    """
    if not modules.compiled(name):
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = import_module(name)
    except ImportError:  # a library it needs is not installed: then nobody here can use it
        return
    if only is None and name == (public or "builtins") and module.__doc__:
        yield public or name, inspect.cleandoc(module.__doc__)
    names = {item: item for item in sorted(vars(module)) if not item.startswith("_")} if only is None else only
    for there, here in names.items():
        value = getattr(module, there, None)
        if here.startswith("_") or not _tellable(value, module.__name__, only is not None):
            continue
        yield from _value(value, f"{public}.{here}" if public else here)


def _tellable(value: Any, module: str, named: bool) -> bool:
    if not (inspect.isclass(value) or callable(value)):
        return False
    home = getattr(value, "__module__", None)
    return named or home in (None, module, module.lstrip("_"), "os", "builtins")


def _value(value: Any, name: str) -> Iterator[tuple[str, str]]:
    text = _text(value, name)
    if text:
        yield name, text
    if inspect.isclass(value):
        for member, inner in vars(value).items():
            if not member.startswith("_"):
                inner = getattr(inner, "__func__", inner)
                text = _text(inner, f"{name}.{member}")
                if text and not inspect.isclass(inner):
                    yield f"{name}.{member}", text


def _text(value: Any, name: str) -> str:
    doc = getattr(value, "__doc__", None)
    # instances (constants) carry the docstring of their class
    if not isinstance(doc, str) or not doc.strip() or doc == type(value).__doc__:
        return ""
    doc = inspect.cleandoc(doc)
    short = name.rpartition(".")[2]
    if doc.startswith(f"{short}("):
        return doc
    kind = "class " if inspect.isclass(value) else ""
    # the text as compiled in; inspect.signature would evaluate its default values
    signature = _SELF.sub("(", getattr(value, "__text_signature__", None) or "")
    return f"{kind}{short}{signature}\n\n{doc}"
