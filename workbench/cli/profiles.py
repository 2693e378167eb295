"""`workbench profiles`: lists and shows profiles, explains every key, says where they are."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from workbench.cli.common import add_json, print_json, program, table
from workbench.core import paths
from workbench.core.errors import UsageError
from workbench.core.profile_io import (
    KeyInfo,
    apply_overrides,
    explain,
    flat,
    load_profile,
    own_profile_path,
    profile_file,
    profile_names,
    save_profile,
)

if TYPE_CHECKING:
    from workbench.cli.common import Subparsers

DESCRIPTION = """\
A profile fixes every choice of a run. Without a name all profiles are listed; with one, every key of it.

Your own profiles are .toml files in the folder that `{program} profiles --where` prints; they may say
extends = "balanced" and win over a bundled profile of the same name. Any key can be overridden for one run
with --set key=value. A value in quotes is read as TOML, where \\n is a line break:
  --set 'encoder.template="{{title}}\\n{{text}}"'
  --set "encoder.template=\\"{{title}}\\n{{text}}\\""      on Windows"""


def add_parser(subparsers: Subparsers) -> None:
    description = DESCRIPTION.format(program=program())
    parser = subparsers.add_parser("profiles", help="list and show profiles", description=description)
    parser.add_argument("name", nargs="?", help="show this profile (a name, or a path to a .toml file)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key")
    parser.add_argument("--save", metavar="NEW", help="save the shown profile as your own profile NEW")
    parser.add_argument("--yes", action="store_true", help="let --save replace a profile of this name")
    parser.add_argument("--keys", action="store_true", help="explain every key: meaning, default, what is allowed")
    parser.add_argument("--where", action="store_true", help="print the folder of your own profiles")
    add_json(parser)


def execute(args: argparse.Namespace) -> int:
    if args.where:
        _print_where(args.json)
    elif args.keys:
        _print_keys(args.json)
    elif args.name is None and not args.set and args.save is None:
        _print_list(args.json)
    else:
        _show(args)
    return 0


def _print_where(as_json: bool) -> None:
    folder = str(paths.user_profiles())
    if as_json:
        print_json({"own": folder, "bundled": str(paths.bundled_profiles())})
    else:
        print(folder)


def _print_keys(as_json: bool) -> None:
    keys = explain()
    if as_json:
        print_json({"keys": [{**asdict(key), "allowed": key.allowed} for key in keys]})
        return
    print("\n\n".join(f"{key.key} = {_toml(key.default)}\n    {key.help}\n    allowed: {key.allowed}" for key in keys))


def _print_list(as_json: bool) -> None:
    profiles = [(name, load_profile(name).about, str(profile_file(name))) for name in profile_names()]
    if as_json:
        print_json({"profiles": [{"name": n, "about": a, "file": f} for n, a, f in profiles]})
        return
    print(table([(name, about) for name, about, _ in profiles]))
    print(f"\n`{program()} profiles NAME` shows every key; --keys explains them; --where: folder for your own.")


def _show(args: argparse.Namespace) -> None:
    profile = apply_overrides(load_profile(args.name or "balanced"), args.set)
    saved = own_profile_path(args.save) if args.save is not None else None
    if saved is not None:
        if saved.exists() and not args.yes:
            raise UsageError("is there already", where=str(saved), remedy="Add --yes to replace it")
        save_profile(profile, saved)
    if args.json:
        print_json({"name": profile.name, "about": profile.about, "keys": flat(profile)})
        return
    values = flat(profile)
    rows = [(f"{key.key} = {_toml(values[key.key])}", _note(key, values[key.key])) for key in explain()]
    print(f"{profile.name}: {profile.about}\n")
    print(table(rows))
    if saved is not None:
        print(f"\nsaved as {saved}")


def _note(key: KeyInfo, value: object) -> str:
    return key.help if value == key.default else f"{key.help} (default: {_toml(key.default)})"


def _toml(value: object) -> str:
    """A value as it is written in a profile, on one line."""
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'
    return str(value)
