"""The one table of actions: bindings, footer, command palette and help are all made from it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from textual.binding import Binding, BindingType

#: Rooms in the order of their keys: (name, title).
ROOMS = (
    ("start", "Start"), ("run", "Run"), ("search", "Search"), ("runs", "Runs"), ("collection", "Collection"),
    ("doctor", "Doctor"),
)


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a user can do.

    Attributes:
        name: of the method `action_<name>` of the room (or of the app, when `room` is empty).
        keys: as Textual names them, separated by commas; empty: palette and mouse only.
        label: one or two words for the footer; empty: not in the footer.
        help: one sentence.
        room: where it counts; empty: everywhere. `replay` is the Run room over a recording.
    """

    name: str
    keys: str
    label: str
    help: str
    room: str = ""
    priority: bool = False

    @property
    def shown_keys(self) -> str:
        """Keys as people write them: `space`, `^p`, `F1`."""
        return " ".join(_shown(key) for key in self.keys.split(",") if key)


def _room(number: int, name: str, title: str) -> Action:
    return Action(f"room('{name}')", f"{number},f{number}", "", f"Go to the room {title}.")


_EVERYWHERE = (
    *(_room(number, *room) for number, room in enumerate(ROOMS, start=1)),
    Action("help", "question_mark", "help", "Show all keys of this room and of the program."),
    Action("command_palette", "ctrl+p", "palette", "Find any action, theme or setting by name."),
    Action("back", "escape", "", "Leave a field, close a dialog, a full-size panel or a replay."),
    Action("next_theme", "", "", "Take the next theme: dark, light, colour-blind-safe, then Textual's."),
    Action("next_glyphs", "", "", "Draw with other signs: braille, blocks, ASCII."),
    Action("refresh_rate", "", "", "Repaint a run at 1, 2 or 4 Hz."),
    Action("save_screenshot", "f12", "", "Save what is on the screen as an SVG picture."),
    Action("copy_verdict", "", "", "Copy the verdict of the run with its evidence."),
    Action("ask_quit", "ctrl+c", "", "Leave the program; asks first.", priority=True),
    Action("quit_screen", "q", "quit", "Leave the program; asks while a run or a job is in progress."),
)

_START = (
    Action("start_run", "ctrl+s", "start", "Start the run as it is set out (as Enter on the button).", "start"),
    Action("edit_profile", "ctrl+t", "settings", "Every setting of the profile: change it, save it anew.", "start"),
    Action("use_default", "ctrl+n", "default input", "Take the embedded default (standard library).", "start"),
    Action("estimate", "ctrl+r", "estimate", "Estimate again what this run will cost.", "start"),
    Action("fresh", "ctrl+g", "afresh", "Throw away what the collection holds before the run (asks first).", "start"),
    Action("focus_tree", "ctrl+o", "files", "Go to the tree of files, and to what is recent; again: back.", "start"),
)

_HOLD = Action("pause_picture", "space", "hold", "Hold the picture; the run goes on. Again: back to now.", "run")
_PICTURE = (
    Action("next_view", "g", "view", "Show the next panel (on a small terminal).", "run"),
    Action("expand", "e,enter", "expand", "Give the panel with the focus the whole screen; again: back.", "run"),
    Action("filter", "slash", "filter", "Show only the processes and log lines that hold a text.", "run"),
    Action("why", "w", "why", "Show the evidence of the verdict, and how it is found.", "run"),
    Action("copy_verdict_here", "c", "copy", "Copy the verdict with its evidence.", "run"),
    Action("sort_next", "o", "sort", "Sort the process table by the next column.", "run"),
    Action("sort_reverse", "O", "", "Turn the order of the process table round.", "run"),
    Action("earlier", "left,h", "", "Back in time (holds the picture).", "run"),
    Action("later", "right,l", "", "Forward in time.", "run"),
    Action("much_earlier", "shift+left,H", "", "Back in time, ten steps.", "run"),
    Action("much_later", "shift+right,L", "", "Forward in time, ten steps.", "run"),
    Action("earliest", "home", "", "To the beginning of the run.", "run"),
    Action("latest", "end", "", "To the newest reading.", "run"),
    Action("longer_span", "minus", "", "Show a longer time in the graphs.", "run"),
    Action("shorter_span", "plus,equals_sign", "", "Show a shorter time in the graphs.", "run"),
)
_RUN = (
    _HOLD,
    Action("pause_run", "p", "pause run", "Give out no more work; what is in flight goes on. Again: resume.", "run"),
    Action("stop_run", "s", "stop", "Stop the run: asks, commits the units in flight, says how to resume.", "run"),
    Action("apply_change", "a", "apply", "Make the suggested change and restart from what is committed.", "run"),
    *_PICTURE,
)
_REPLAY = (
    Action("play", "space,p", "play", "Play the recording, or hold it.", "replay"),
    Action("faster", "greater_than_sign,full_stop", "faster", "Play twice as fast.", "replay"),
    Action("slower", "less_than_sign,comma", "slower", "Play half as fast.", "replay"),
    *(replace(action, room="replay") for action in _PICTURE),
)
_SEARCH = (
    Action("focus_query", "slash", "query", "Go to the field for the query.", "search"),
    Action("focus_where", "ctrl+n", "filter", "Go to the field for the filter over metadata.", "search"),
    Action("next_mode", "ctrl+t", "mode", "Take the next way to search: hybrid, dense, lexical.", "search"),
    Action("next_hit", "j,down", "", "Next hit.", "search"),
    Action("previous_hit", "k,up", "", "Previous hit.", "search"),
    Action("open_file", "ctrl+o", "open", "Open the file that the hit came from.", "search"),
    Action("copy_hit", "ctrl+y", "copy", "Copy the text of the hit.", "search"),
    Action("more_like_this", "ctrl+l", "more like this", "Search for chunks like the hit.", "search"),
)
_RUNS = (
    Action("replay", "enter", "replay", "Replay the recording of the run in the Run room.", "runs"),
    Action("mark", "m,space", "mark", "Mark the run for a comparison; mark two.", "runs"),
    Action("compare", "c", "compare", "Compare the two marked runs.", "runs"),
    Action("report", "r", "report", "Write the run's HTML report and open it.", "runs"),
    Action("export_trace", "t", "trace", "Write the run's trace for Perfetto and chrome://tracing.", "runs"),
    Action("reload", "ctrl+r", "reload", "Read the list again.", "runs"),
)
_COLLECTION = (
    Action("next_collection", "n", "next", "Show the next collection.", "collection"),
    Action("verify", "v", "verify", "Check every file of the collection against its hash.", "collection"),
    Action("rebuild", "b", "rebuild index", "Build the index as another kind beside the present one.", "collection"),
    Action("export", "e", "export", "Write the collection to one .parquet or .npy file.", "collection"),
    Action("search_here", "slash", "search", "Search this collection.", "collection"),
    Action("cancel", "x", "cancel", "Stop the check or the build that goes on.", "collection"),
    Action("reload", "ctrl+r", "reload", "Read the collection again.", "collection"),
)
_DOCTOR = (
    Action("reload", "ctrl+r", "check again", "Check this machine again.", "doctor"),
    Action("copy_report", "c", "copy", "Copy what the doctor says.", "doctor"),
)

ACTIONS: tuple[Action, ...] = (
    *_EVERYWHERE, *_START, *_RUN, *_REPLAY, *_SEARCH, *_RUNS, *_COLLECTION, *_DOCTOR,
)


def actions_of(room: str) -> tuple[Action, ...]:
    """Actions that count only in this room (`""`: everywhere), in the order of the table."""
    return tuple(action for action in ACTIONS if action.room == room)


def bindings_of(room: str) -> list[BindingType]:
    """Textual's bindings of a room."""
    return [
        Binding(action.keys, action.name, action.label or action.help, show=False, priority=action.priority)
        for action in actions_of(room)
        if action.keys
    ]


_NAMES = {
    "question_mark": "?", "slash": "/", "minus": "-", "plus": "+", "equals_sign": "=", "full_stop": ".",
    "comma": ",", "greater_than_sign": ">", "less_than_sign": "<", "escape": "Esc", "enter": "Enter",
    "left": "←", "right": "→", "up": "↑", "down": "↓", "home": "Home", "end": "End",
}
_PLAIN = {"←": "Left", "→": "Right", "↑": "Up", "↓": "Down"}


def _shown(key: str) -> str:
    if key.startswith("ctrl+"):
        return f"^{key[5:]}"
    if key.startswith("shift+"):
        return f"Shift+{_shown(key[6:])}"
    if key[0] == "f" and key[1:].isdigit():
        return key.upper()
    return _NAMES.get(key, key)


def plain(text: str) -> str:
    """Keys in words, for terminals that show ASCII only."""
    for sign, word in _PLAIN.items():
        text = text.replace(sign, word)
    return text
