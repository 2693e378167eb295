import importlib
import inspect

import pytest
from rich.cells import cell_len
from textual.widgets import Input

from workbench.tui.actions import ACTIONS, ROOMS, actions_of, bindings_of
from workbench.tui.app import KINDS, WorkbenchApp
from workbench.tui.rooms.help import help_text
from workbench.tui.rooms.replay import ReplayRoom
from workbench.tui.widgets.bars import key_line

_OWNERS = {
    "": WorkbenchApp, "replay": ReplayRoom,
    **{name: getattr(importlib.import_module(module), kind) for name, (module, kind) in KINDS.items()},
}


@pytest.mark.parametrize("action", ACTIONS, ids=lambda a: f"{a.room or 'app'}.{a.name}")
def test_every_action_is_there_and_explained(action):
    name = action.name.split("(")[0]
    assert inspect.isfunction(getattr(_OWNERS[action.room], f"action_{name}"))
    assert action.help.endswith(".")
    assert action.help in help_text(action.room)


@pytest.mark.parametrize("width", [67, 92])
def test_help_keeps_its_columns_at_every_width(width):
    lines = help_text("run", width=width).splitlines()
    assert max(map(cell_len, lines)) <= width
    assert all(line.startswith(" " * 13) or not line.startswith("   ") for line in lines)  # goes on below its meaning


@pytest.mark.parametrize("room", ["", *(_OWNERS)])
def test_no_key_means_two_things_in_a_room(room):
    actions = (*actions_of(room), *(actions_of("") if room else ()))
    keys = [key for action in actions for key in action.keys.split(",") if key]
    assert len(keys) == len(set(keys))
    assert {b.key for b in bindings_of(room)} <= {a.keys for a in actions_of(room)}


def test_keys_of_the_field_are_not_taken_away_from_it():
    """What the field for text uses itself would never reach the room."""
    taken = {key for binding in Input.BINDINGS for key in binding.key.split(",")}
    for room in ("start", "search"):
        ours = {key for action in actions_of(room) for key in action.keys.split(",") if key.startswith("ctrl+")}
        assert not ours & taken


def test_the_key_line_never_overflows_and_counts_what_it_leaves_out():
    for room, _ in ROOMS:
        here = [action for action in actions_of(room) if action.label]
        always = [action for action in actions_of("") if action.label and action.keys]
        for width in range(40, 200):
            line = key_line(here, always, width, False)
            assert line.used <= width
            shown = sum(1 for action in here if f" {action.label}  " in line.plain())
            assert shown == len(here) or f"+{len(here) - shown} " in line.plain()
