"""Where things of the user live: collections, own profiles, cache, and which collections were built last.

`WORKBENCH_HOME` puts all of it below one folder; without it the platform's usual places are taken.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

import platformdirs

from workbench.core.errors import UsageError
from workbench.core.run import RunRequest

APP = "embedding-workbench"
HOME_VARIABLE = "WORKBENCH_HOME"
RECENT_FILE = "recent.json"
RECENT_LIMIT = 50
_RESERVED = frozenset({"con", "prn", "aux", "nul"} | {f"{n}{i}" for n in ("com", "lpt") for i in range(1, 10)})


def user_data() -> Path:
    """Folder for what must last (collections, own profiles, history). It need not exist yet."""
    home = os.environ.get(HOME_VARIABLE)
    return Path(home).absolute() if home else Path(platformdirs.user_data_dir(APP, appauthor=False))


def user_cache() -> Path:
    """Folder for what may be deleted at any time."""
    home = os.environ.get(HOME_VARIABLE)
    return Path(home).absolute() / "cache" if home else Path(platformdirs.user_cache_dir(APP, appauthor=False))


def user_settings() -> Path:
    """Folder for the settings of the screen, apart from profiles."""
    home = os.environ.get(HOME_VARIABLE)
    return Path(home).absolute() if home else Path(platformdirs.user_config_dir(APP, appauthor=False))


def user_profiles() -> Path:
    """Folder with the user's own profiles; one of them wins over a bundled one of the same name."""
    return user_settings() / "profiles"


def collections_folder() -> Path:
    """Folder where collections go that were given no place of their own."""
    return user_data() / "collections"


def bundled_profiles() -> Path:
    """Folder with the profiles that come with the program (installed package, else repository)."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "profiles"
    return installed if installed.is_dir() else package.parent / "profiles"


def repository() -> Path | None:
    """Root of the repository the program runs from, or None when it is installed as a package."""
    root = Path(__file__).resolve().parent.parent.parent
    return root if (root / "pyproject.toml").is_file() and (root / "run.sh").is_file() else None


def file_stem(name: str) -> str:
    """A short ASCII file name that every platform takes (Windows reserves `aux`, `con`, trailing dots …)."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:40] or "input"
    return f"{stem}-input" if stem.lower() in _RESERVED else stem


def default_collection(request: RunRequest) -> Path:
    """Collection folder of a request without `into`.

    `stdlib.collection` for the embedded default, else `<input's name>-<6 hex digits>.collection`, below the
    user's data folder. The digits come from the full paths of the inputs, so that the same command finds the
    same collection again from any folder, and two inputs of the same name do not meet.
    """
    if not request.inputs:
        return collections_folder() / "stdlib.collection"
    first = Path(os.path.abspath(request.inputs[0]))
    named = [os.path.normcase(os.path.abspath(path)) for path in request.inputs]
    if request.docs is not None:
        named.append(os.path.normcase(os.path.abspath(request.docs)))
    digest = hashlib.sha256("\0".join(named).encode("utf-8", "surrogatepass")).hexdigest()[:6]
    name = first.name if first.is_dir() else first.stem
    return collections_folder() / f"{file_stem(name)}-{digest}.collection"


def remember_collection(path: Path) -> None:
    """Put a collection first in the list of recent ones. A list that cannot be written is no error."""
    new = str(Path(os.path.abspath(path)))
    known = [entry for entry in _read_recent() if os.path.normcase(entry) != os.path.normcase(new)]
    file = user_data() / RECENT_FILE
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        staged = file.with_name(f"{RECENT_FILE}.{os.getpid()}")
        text = json.dumps({"collections": [new, *known][:RECENT_LIMIT]}, indent=1, ensure_ascii=False)
        staged.write_text(text + "\n", encoding="utf-8", errors="surrogatepass", newline="\n")
        staged.replace(file)
    except OSError:
        return  # the list is a convenience: a run must not fail for it


def recent_collections() -> list[Path]:
    """Collections built or opened here, the newest first; those that are gone are left out."""
    return [path for path in map(Path, _read_recent()) if (path / "CURRENT").is_file()]


def chosen_collection(given: Path | None, *, whole: bool = True) -> Path:
    """The collection a command works on: the one given with `--in`, else the one built last.

    Args:
        whole: False lets a collection pass that lost its CURRENT.

    Raises:
        UsageError: it is not there, is no collection, or nothing was built yet.
    """
    if given is None:
        recent = recent_collections()
        if not recent:
            raise UsageError("there is no collection yet", remedy="Build one with `run`, or name one with --in")
        return recent[0]
    if (given / "CURRENT").is_file() or (not whole and (given / "manifests").is_dir()):
        return given
    if not given.exists():
        raise UsageError("there is no such collection", where=str(given), remedy=_known())
    raise UsageError("is no collection (it has no file CURRENT)", where=str(given), remedy=_known())


def _known() -> str:
    recent = [str(path) for path in recent_collections()[:3]]
    return f"Built last: {', '.join(recent)}" if recent else "Build one with `run`"


def _read_recent() -> list[str]:
    try:
        content = json.loads((user_data() / RECENT_FILE).read_text(encoding="utf-8", errors="surrogatepass"))
    except (OSError, ValueError):
        return []
    entries = content.get("collections", []) if isinstance(content, dict) else []
    return [entry for entry in entries if isinstance(entry, str)] if isinstance(entries, list) else []
