"""A text index for a user who may read a collection but not write there: tantivy takes a lock file to open one."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from workbench.collection.manifest import FileEntry
from workbench.core.paths import user_cache

#: The file tantivy makes and locks in a folder it opens.
LOCK = ".tantivy-meta.lock"


def refusal(root: Path, files: Sequence[FileEntry]) -> OSError | None:
    """What keeps this user from opening a generation where it lies; None = nothing does."""
    folder = (root / files[0].name).parent
    try:
        with (folder / LOCK).open("ab"):
            pass
        for entry in files:
            with (root / entry.name).open("rb"):
                pass
    except OSError as error:
        return error
    return None


def copied(root: Path, files: Sequence[FileEntry]) -> Path:
    """Folder in the user's cache with a copy of a generation; made once, and older ones of the collection removed.

    Raises:
        OSError: a file may not be read, or the cache has no room.
    """
    generation = (root / files[0].name).parent
    home = user_cache() / "text" / hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]
    target = home / generation.name
    if not _is_whole(target, files):
        shutil.rmtree(target, ignore_errors=True)
        home.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f"{target.name}.", dir=home, ignore_cleanup_errors=True) as made:
            fresh = Path(made) / "whole"
            fresh.mkdir()
            for entry in files:
                shutil.copyfile(root / entry.name, fresh / Path(entry.name).name)
            try:
                fresh.replace(target)
            except OSError:
                if not _is_whole(target, files):  # another process was quicker
                    raise
    for old in home.iterdir():
        if old.name < target.name:  # generations are numbered
            shutil.rmtree(old, ignore_errors=True)
    return target


def _is_whole(folder: Path, files: Sequence[FileEntry]) -> bool:
    try:
        return all((folder / Path(entry.name).name).stat().st_size == entry.size for entry in files)
    except OSError:
        return False
