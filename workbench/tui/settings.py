"""What the screen remembers between starts, apart from profiles. One small JSON file, replaced whole."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from workbench.core.paths import user_settings
from workbench.tui.glyphs import CHOICES
from workbench.tui.themes import DEFAULT

FILE = "screen.json"
_LAST = 12  # inputs remembered


@dataclass(frozen=True, slots=True)
class Settings:
    """Attributes:
    theme: name of a theme. glyphs: `auto`, `braille`, `blocks` or `ascii`.
    refresh: seconds between repaints of a run. span: seconds of history that a graph shows.
    view: panel that a small terminal shows below the pipeline.
    sort: column the process table is sorted by; `-name` is descending.
    inputs: typed inputs, the newest first. profile, model: chosen last.
    """

    theme: str = DEFAULT
    glyphs: str = "auto"
    refresh: float = 1.0
    span: int = 120
    view: str = "rate"
    sort: str = "stage"
    inputs: tuple[str, ...] = ()
    profile: str = "balanced"
    model: str = ""

    def with_input(self, text: str) -> Settings:
        """With an input put first in the list."""
        others = [item for item in self.inputs if item != text]
        return replace(self, inputs=tuple([text, *others][:_LAST]) if text else self.inputs)


def settings_path() -> Path:
    """The file; it need not exist."""
    return user_settings() / FILE


def load(path: Path | None = None) -> Settings:
    """The settings kept; what is missing, broken or of the wrong kind takes its default."""
    try:
        content = json.loads((path or settings_path()).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Settings()
    return from_dict(content if isinstance(content, dict) else {})


def from_dict(content: dict[str, Any]) -> Settings:
    """Settings of the known keys whose values are of the right kind and within their limits."""
    known: dict[str, Any] = {}
    default = Settings()
    for field in fields(Settings):
        value, usual = content.get(field.name), getattr(default, field.name)
        if isinstance(usual, tuple):
            if isinstance(value, list):
                known[field.name] = tuple(item for item in value if isinstance(item, str))[:_LAST]
        elif isinstance(usual, float):
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                known[field.name] = float(value)
        elif type(value) is type(usual):
            known[field.name] = value
    settings = replace(default, **known)
    refresh = min(5.0, settings.refresh) if settings.refresh >= 0.25 else default.refresh
    span = min(86_400, max(10, settings.span))
    glyphs = settings.glyphs if settings.glyphs in CHOICES else default.glyphs
    return replace(settings, refresh=refresh, span=span, glyphs=glyphs)


def save(settings: Settings, path: Path | None = None) -> OSError | None:
    """Write the file whole. A disk that refuses is returned, not raised: the screen goes on."""
    file = path or settings_path()
    staged = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(settings), indent=1, ensure_ascii=False)
        staged.write_text(text + "\n", encoding="utf-8", errors="surrogatepass", newline="\n")
        staged.replace(file)
    except OSError as error:
        return error
    return None
