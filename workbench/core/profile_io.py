"""Reading, checking, overriding and saving profiles (TOML). Every complaint names file, key and what is allowed."""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import tomli_w

from workbench.core import paths
from workbench.core.errors import UsageError
from workbench.core.profile import Profile

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Value = str | int | float
SECTIONS = tuple(f.name for f in fields(Profile) if f.name not in ("name", "about"))


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """One key of a profile.

    Attributes:
        key: `section.name`.
        kind: `text`, `whole number` or `number`.
        default: value when a profile does not say.
        help: one sentence for people.
        choices: allowed values; empty = any.
        least, most: allowed range, both ends included; None = open.
    """

    key: str
    kind: str
    default: Value
    help: str
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None

    @property
    def allowed(self) -> str:
        """What may be given, in words: `one of a, b`, `a whole number from 0 to 58`, `text`."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        word = self.kind if self.kind == "text" else f"a {self.kind}"
        low = None if self.least is None else f"{self.least:g}" if self.least < 1e6 else f"{self.least:.0f}"
        high = None if self.most is None else f"{self.most:g}"
        if low is not None and high is not None:
            return f"{word} from {low} to {high}"
        return f"{word}, at least {low}" if low is not None else word


def explain() -> list[KeyInfo]:
    """Every key there is, in the order of the sections."""
    return list(_KEYS.values())


def flat(profile: Profile) -> dict[str, Value]:
    """All keys of a profile with their values: `{"encoder.dtype": "auto", …}`."""
    return {key: getattr(getattr(profile, key.split(".")[0]), key.split(".")[1]) for key in _KEYS}


def profile_names() -> list[str]:
    """Names that `load_profile` takes: bundled profiles in their usual order, then the user's own."""
    usual = ["fast", "balanced", "quality", "debug"]
    bundled = [file.stem for file in sorted(paths.bundled_profiles().glob("*.toml"))]
    own = [file.stem for file in sorted(paths.user_profiles().glob("*.toml"))]
    ordered = [name for name in usual if name in bundled] + [name for name in bundled if name not in usual]
    return ordered + [name for name in own if name not in bundled]


def profile_file(name_or_path: str | Path) -> Path:
    """The file a profile name means; the user's own folder wins over the bundled ones.

    Raises:
        UsageError: there is none, with the names there are.
    """
    text = str(name_or_path)
    if re.search(r"[/\\]|\.toml$", text, re.IGNORECASE):
        path = Path(text)
        if not path.is_file():
            raise UsageError("there is no such profile file", where=text, remedy=_names_hint(text))
        return path
    for folder in (paths.user_profiles(), paths.bundled_profiles()):
        path = folder / f"{text}.toml"
        if path.is_file():
            return path
    raise UsageError(f"there is no profile {text!r}", remedy=_names_hint(text))


def load_profile(name_or_path: str | Path) -> Profile:
    """Read a profile by name (bundled or the user's own) or from a path to a `.toml` file.

    Raises:
        UsageError: no such profile, not TOML, or a key or value that is not allowed.
    """
    path = profile_file(name_or_path)
    values, about = _read(path, ())
    return _build(values, name=path.stem, about=about)


def apply_overrides(profile: Profile, assignments: Iterable[str]) -> Profile:
    """A copy of `profile` with `section.key=value` applied, the later ones winning.

    A value in double or single quotes is read as TOML text (`"{title}\\n{text}"` has a line break), any other
    text is taken as it is.

    Raises:
        UsageError: unknown key or a value that is not allowed.
    """
    values = dict(flat(profile))
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        key = key.strip()
        where = f"--set {assignment}"
        if not equals:
            raise UsageError("is not of the form key=value", where=where, remedy="Example: --set pipeline.workers=4")
        info = _known_key(key, where)
        values[key] = _checked(info, _parse(info, text), where)
    return _build(values, name=profile.name, about=profile.about)


def save_profile(profile: Profile, path: Path) -> None:
    """Write a profile: what it is for and the keys that differ from their defaults. A file that is there is replaced.

    Raises:
        UsageError: the file cannot be written.
    """
    tables: dict[str, dict[str, Value]] = {}
    for key, value in flat(profile).items():
        section, name = key.split(".")
        if value != _KEYS[key].default:
            tables.setdefault(section, {})[name] = value
    content: dict[str, Any] = {"about": profile.about, **tables} if profile.about else dict(tables)
    staged = path.with_name(f"{path.name}.{os.getpid()}")  # a file half written must not take the place of a whole one
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        staged.write_text(tomli_w.dumps(content), encoding="utf-8", newline="\n")
        staged.replace(path)
    except OSError as error:
        with suppress(OSError):
            staged.unlink()
        raise UsageError(f"cannot write the profile: {error.strerror}", where=str(path)) from error


def own_profile_path(name: str) -> Path:
    """File of a profile of the user's own with this name.

    Raises:
        UsageError: the name is none that every platform takes as a file name.
    """
    if paths.file_stem(name) != name:
        raise UsageError(f"{name!r} cannot name a profile", remedy="Use letters a-z, digits, - and _, at most 40")
    return paths.user_profiles() / f"{name}.toml"


def _read(path: Path, chain: tuple[Path, ...]) -> tuple[dict[str, Value], str]:
    """Checked values of a file and of what it extends, and its `about`."""
    content = _toml(path)
    base = content.pop("extends", None)
    about = content.pop("about", "")
    for key, value in (("extends", base), ("about", about)):
        if value is not None and not isinstance(value, str):
            raise UsageError(f"{key} must be text, not {value!r}", where=str(path))
    values: dict[str, Value] = {}
    if base is not None:
        values, inherited = _read(_base_file(str(base), path, chain), (*chain, path))
        about = about or inherited
    for section, table in content.items():
        values.update(_section(section, table, str(path)))
    return values, about


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"is not UTF-8 (byte {error.start})", where=str(path), remedy="Save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"is not valid TOML: {error}", where=str(path)) from error


def _base_file(base: str, path: Path, chain: Sequence[Path]) -> Path:
    """File that `extends` names. The user's own `fast` may extend the bundled `fast`."""
    file = profile_file(path.parent / base if base.endswith(".toml") else base)
    seen = {item.resolve() for item in (*chain, path)}
    if file.resolve() in seen:
        file = paths.bundled_profiles() / f"{base}.toml"
    if file.resolve() in seen or not file.is_file():
        raise UsageError(f"extends = {base!r} leads back to itself", where=str(path))
    return file


def _section(section: str, table: object, where: str) -> dict[str, Value]:
    if section not in SECTIONS:
        near = _nearest(section, [*SECTIONS, "about", "extends", *_KEYS])
        raise UsageError(f"unknown key {section!r}", where=where, remedy=near)
    if not isinstance(table, Mapping):
        raise UsageError(f"{section} is a section, not a value", where=where, remedy=f"Write [{section}] first")
    values: dict[str, Value] = {}
    for name, value in table.items():
        info = _known_key(f"{section}.{name}", where)
        values[info.key] = _checked(info, value, where)
    return values


def _known_key(key: str, where: str) -> KeyInfo:
    if key not in _KEYS:
        raise UsageError(f"unknown key {key!r}", where=where, remedy=_nearest(key, list(_KEYS)))
    return _KEYS[key]


def _nearest(word: str, names: list[str]) -> str:
    """Hint with the nearest valid names; a bare key name finds its section too."""
    last = word.rpartition(".")[2]
    same = [name for name in names if name.rpartition(".")[2] == last]
    near = same or difflib.get_close_matches(word, names, n=2, cutoff=0.6)
    if not near:
        ends = {name.rpartition(".")[2]: name for name in names}
        near = [ends[end] for end in difflib.get_close_matches(last, list(ends), n=2, cutoff=0.6)]
    return f"Did you mean {' or '.join(near)}?" if near else "`profiles --keys` lists all keys"


def _parse(info: KeyInfo, text: str) -> Value:
    """Text of a `--set` as the key's type; what cannot be read is left as text for `_checked` to refuse."""
    stripped = text.strip()
    if info.kind == "text":
        if len(stripped) >= 2 and stripped[0] in "\"'" and stripped[-1] == stripped[0]:
            with suppress(tomllib.TOMLDecodeError):
                return str(tomllib.loads(f"v = {stripped}")["v"])
        return text
    try:
        return int(stripped) if info.kind == "whole number" else float(stripped)
    except ValueError:
        return text


def _checked(info: KeyInfo, value: object, where: str) -> Value:
    """`value` as the key's type. Raises UsageError saying what is allowed."""
    if info.kind == "number" and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    expected = {"text": str, "whole number": int, "number": float}[info.kind]
    good = isinstance(value, expected) and not isinstance(value, bool)
    if good and info.choices:
        good = value in info.choices
    if good and isinstance(value, (int, float)):
        # a comparison with NaN is false, so NaN is refused too
        good = (info.least is None or value >= info.least) and (info.most is None or value <= info.most)
        good = good and value != float("inf")
    if not good:
        raise UsageError(f"{info.key} = {value!r} is not allowed", where=where, remedy=f"Allowed: {info.allowed}")
    if info.key == "encoder.template" and "{text}" not in str(value):
        remedy = 'Example: "{title}\\n{text}"'  # in single quotes TOML would keep the backslash
        raise UsageError(f"{info.key} = {value!r} lacks {{text}}", where=where, remedy=remedy)
    assert isinstance(value, (str, int, float))
    return value


def _build(values: Mapping[str, Value], *, name: str, about: str) -> Profile:
    profile = Profile(name=name, about=about)
    for section in SECTIONS:
        part = {key.split(".")[1]: value for key, value in values.items() if key.startswith(f"{section}.")}
        profile = replace(profile, **{section: replace(getattr(profile, section), **part)})
    return profile


def _names_hint(text: str) -> str:
    names = profile_names()
    near = difflib.get_close_matches(Path(text).stem, names, n=1, cutoff=0.5)
    start = f"Did you mean {near[0]}? " if near else ""
    return f"{start}There are: {', '.join(names)}; or a path to a .toml file"


def _key_infos() -> dict[str, KeyInfo]:
    infos: dict[str, KeyInfo] = {}
    for section in SECTIONS:
        for item in fields(getattr(Profile(), section)):
            default: Any = item.default
            kind = {str: "text", int: "whole number", float: "number"}[type(default)]
            key = f"{section}.{item.name}"
            infos[key] = KeyInfo(key, kind, default, **item.metadata)
    return infos


_KEYS = _key_infos()
