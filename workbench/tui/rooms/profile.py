"""The editor of a profile: every key with its value, what it means and what is allowed; saves a new profile."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from workbench.core.errors import WorkbenchError
from workbench.core.profile import Profile
from workbench.core.profile_io import (
    KeyInfo,
    apply_overrides,
    explain,
    flat,
    own_profile_path,
    profile_names,
    save_profile,
)
from workbench.tui import text as t
from workbench.tui.rooms.dialogs import Field, Question
from workbench.tui.widgets.lines import Line, LineWidget
from workbench.tui.widgets.table import Column, LineTable


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key and its value in the profile."""

    info: KeyInfo
    value: str
    changed: bool


def as_typed(info: KeyInfo, text: str, before: str) -> str:
    """The value that a typed line means.

    The sign of a line break, as the line shows one, counts only where the default or the value before has lines.
    """
    return text.replace("\\n", "\n") if "\n" in f"{info.default}{before}" else text


COLUMNS = (
    Column("key", "key", 32, lambda r: r.info.key, role=lambda r: "title"),
    Column("value", "value", 22, lambda r: t.in_one_line(r.value) or '""',
           role=lambda r: "warn" if r.changed else "strong"),
    # Where it has no room it stands below the table, for the key under the cursor.
    Column("help", "what it means", 0, lambda r: r.info.help, role=lambda r: "muted", least=90),
)


class About(LineWidget):
    """The key under the cursor, in full."""

    DEFAULT_CSS = "About { height: 3; }"
    row: KeyRow | None = None

    def build(self, width: int, height: int) -> list[Line]:
        if self.row is None:
            return []
        info = self.row.info
        lines = [Line(piece) for piece in t.wrap(info.help, width)][:2]
        return [*lines, Line(f"allowed: {info.allowed}; default: {info.default!r}", "muted")]


class ProfileEditor(ModalScreen[tuple[dict[str, str], str] | None]):
    """Answers with the changed keys and the name it was saved under ("" when it was not), or None."""

    DEFAULT_CSS = """
    ProfileEditor { align: center middle; }
    ProfileEditor > Vertical {
        width: 96%; max-width: 130; height: 92%; padding: 0 1; background: $surface; border: round $primary;
    }
    ProfileEditor Input { height: 1; border: none; background: $boost; padding: 0 1; }
    ProfileEditor .head { color: $primary; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", show=False), Binding("ctrl+s", "save", show=False),
        Binding("slash", "find", show=False), Binding("ctrl+u,f5", "use", show=False, priority=True),
    ]

    def __init__(self, profile: Profile) -> None:
        super().__init__()
        self.profile, self._given = profile, flat(profile)
        self.changes: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = f"profile {self.profile.name}"
            yield Label("Enter edits  / finds  F5 uses it for this run  ^S saves anew  Esc leaves", markup=False)
            yield Input(placeholder="find a key", id="find")
            yield LineTable(COLUMNS, id="keys", empty="no key holds that text")
            yield About(id="about")

    def on_mount(self) -> None:
        self.fill()
        self.query_one("#keys").focus()

    def fill(self) -> None:
        """Show the keys that hold the text looked for."""
        text = self.query_one("#find", Input).value.lower()
        values = flat(self.profile)
        rows = [
            KeyRow(info, str(values[info.key]), values[info.key] != self._given[info.key])
            for info in explain() if text in f"{info.key} {info.help}".lower()
        ]
        rows.sort(key=lambda row: text not in row.info.key.lower())  # a key that is named so comes first
        table = self.query_one("#keys", LineTable)
        table.put(rows)
        self._about(table.current)

    @on(LineTable.Moved, "#keys")
    def moved(self, event: LineTable.Moved) -> None:
        self._about(event.row)

    def _about(self, row: KeyRow | None) -> None:
        about = self.query_one(About)
        about.row = row
        about.show()

    @on(Input.Changed, "#find")
    def find_changed(self) -> None:
        self.fill()

    @on(Input.Submitted, "#find")
    def found(self) -> None:
        self.query_one("#keys").focus()

    def action_find(self) -> None:
        self.query_one("#find").focus()

    @on(LineTable.Chosen, "#keys")
    def edit(self, event: LineTable.Chosen) -> None:
        row: KeyRow = event.row
        self.app.push_screen(
            Field(row.info.key, f"{row.info.help}\nallowed: {row.info.allowed}", t.in_one_line(row.value)),
            lambda value: self._set(row.info, value, row.value),
        )

    def _set(self, info: KeyInfo, typed: str | None, before: str) -> None:
        key, value = info.key, as_typed(info, typed or "", before)
        if typed is None or value == before or (value == "" and key not in _MAY_BE_EMPTY):
            return
        try:
            self.profile = apply_overrides(self.profile, [f"{key}={value}"])
        except WorkbenchError as error:
            self.app.notify(str(error), title="Not changed", severity="error", markup=False)
            return
        self.changes[key] = value
        self.fill()

    def action_use(self) -> None:
        self.dismiss((self.changes, ""))

    def action_leave(self) -> None:
        if self.focused is not None and self.focused.id == "find":
            self.query_one("#keys").focus()
        elif flat(self.profile) != self._given:
            answers = [("use", "Use for this run"), ("drop", "Drop"), ("no", "Stay")]
            self.app.push_screen(Question("Drop the changes?", self._said(), answers), self._left)
        else:
            self.dismiss(None)

    def _left(self, answer: str | None) -> None:
        if answer == "use":
            self.action_use()
        elif answer == "drop":
            self.dismiss(None)

    def _said(self) -> str:
        """The changed keys with their values."""
        return ", ".join(f"{key} = {t.in_one_line(value)}" for key, value in self.changes.items())

    def action_save(self) -> None:
        self.app.push_screen(
            Field("Save as a new profile", "A name of letters, digits, - and _", placeholder="my-profile"), self._named
        )

    def _named(self, name: str | None) -> None:
        """Save under a name; under one that is taken only when told so."""
        if not name:
            return
        try:
            own = own_profile_path(name).exists()
        except WorkbenchError as error:
            self._refused(error)
            return
        if not own and os.path.normcase(name) not in map(os.path.normcase, profile_names()):
            self._save(name)
            return
        body = "What it says now is lost." if own else (
            "It comes with the program and is kept, but wherever it is named, yours is taken from now on."
        )
        question = Question(f"There is a profile {name} already.", body, [("no", "Keep it"), ("yes", "Replace it")])
        self.app.push_screen(question, lambda answer: self._save(name) if answer == "yes" else None)

    def _refused(self, error: WorkbenchError) -> None:
        self.app.notify(str(error), title="Not saved", severity="error", markup=False)

    def _save(self, name: str) -> None:
        about = f"{self.profile.name} with {self._said()}" if self.changes else self.profile.about
        try:
            save_profile(replace(self.profile, about=about), own_profile_path(name))
        except WorkbenchError as error:
            self._refused(error)
            return
        self.app.notify(f"Saved as {name}.", markup=False)
        self.dismiss((self.changes, name))


#: Keys of text whose empty value means something.
_MAY_BE_EMPTY = frozenset(info.key for info in explain() if info.kind == "text" and not info.choices)
