"""How the screen looks: theme, signs, screenshots; and its settings, kept between starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from textual.app import App

from workbench.core.paths import user_data
from workbench.tui import glyphs as signs
from workbench.tui import settings as store
from workbench.tui.glyphs import Glyphs
from workbench.tui.rooms.base import Room
from workbench.tui.settings import Settings
from workbench.tui.themes import DEFAULT, THEMES


class Looks(App[int]):
    """The part of the app that knows themes, signs and settings."""

    def __init__(self, settings: Settings | None, keep: Path | None) -> None:
        """`keep`: file of the settings; None: the user's own."""
        super().__init__()
        self.settings = settings if settings is not None else store.load(keep)
        self._keep = keep
        self.glyphs: Glyphs = signs.choose(self.settings.glyphs)
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self.settings.theme if self.settings.theme in self.available_themes else DEFAULT

    def on_mount(self) -> None:
        self.set_class(self.glyphs.name == "ascii", "-ascii")
        self.theme_changed_signal.subscribe(self, lambda theme: self.change_settings(theme=theme.name))

    def change_settings(self, **changes: Any) -> None:
        """Change settings and keep them."""
        self.keep(replace(self.settings, **changes))

    def keep(self, settings: Settings) -> None:
        """Keep settings for the next start."""
        if settings == self.settings:
            return
        self.settings = settings
        error = store.save(settings, self._keep)
        if error is not None:
            self.notify(f"Settings of the screen cannot be kept: {error}", severity="warning", markup=False)

    def take_theme(self, name: str) -> None:
        """Draw with another theme from now on."""
        self.theme = name

    def action_next_theme(self) -> None:
        own = [theme.name for theme in THEMES]
        names = own + [name for name in self.available_themes if name not in own]
        self.theme = names[(names.index(self.theme) + 1) % len(names)]

    def action_next_glyphs(self) -> None:
        names = signs.CHOICES
        chosen = names[(names.index(self.settings.glyphs) + 1) % len(names)]
        self.glyphs = signs.choose(chosen)
        self.set_class(self.glyphs.name == "ascii", "-ascii")
        self.change_settings(glyphs=chosen)
        self.notify(f"Signs: {chosen} ({self.glyphs.name})", timeout=3, markup=False)
        self.refresh_css(animate=False)
        if isinstance(self.screen, Room):
            self.screen.paint()

    def action_save_screenshot(self) -> None:
        """Save into the working folder; where that cannot be written, into a folder of the user's own."""
        for own in (False, True):  # what may be written is found by trying: on Windows `os.access` does not know
            try:
                folder = user_data() / "screens" if own else Path.cwd()
                folder.mkdir(parents=True, exist_ok=True)
                saved = self.save_screenshot(path=str(folder))
            except OSError as error:
                failure = error
            else:
                self.notify(f"Saved {saved}", markup=False)
                return
        self.notify(f"The picture cannot be saved: {failure}", severity="error", markup=False)
