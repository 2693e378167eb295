"""Worker bodies for tests: one that meets what nobody foresaw, one whose storage fails."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from workbench.engine import worker
from workbench.sources import storage
from workbench.text import tokenising

WORD = "UNFORESEEN"
_real_main = worker.main
_real_encode = tokenising.Tokeniser.encode
_real_open = Path.open


def _failing(self: tokenising.Tokeniser, texts: Sequence[str], prefix: str = "") -> tokenising.Tokens:
    assert not any(WORD in text for text in texts), "this word is not expected"
    return _real_encode(self, texts, prefix)


def failing_main(spec: worker.WorkerSpec, pipe: Connection) -> None:
    """The worker's entry point with a tokenizer that raises what nobody foresaw."""
    tokenising.Tokeniser.encode = _failing  # type: ignore[method-assign]
    _real_main(spec, pipe)


def _away(path: Path, *args: Any, **more: Any) -> Any:
    if path.name == "shaky.md" and (path.parent.parent / "away").exists():
        raise OSError(errno.EIO, "Input/output error", str(path))
    return _real_open(path, *args, **more)


def shaky_main(spec: worker.WorkerSpec, pipe: Connection) -> None:
    """The worker's entry point with storage that fails as long as a file `away` lies beside the folder read."""
    Path.open = _away  # type: ignore[method-assign]
    storage._PAUSES = (0.0, 0.0, 0.0)
    _real_main(spec, pipe)


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def full_main(spec: worker.WorkerSpec, pipe: Connection) -> None:
    """The worker's entry point with a disk that is full as long as a file `full` lies beside the collection."""
    if (Path(spec.staging).parent.parent / "full").exists():
        worker.Preparer._stage = _full  # type: ignore[assignment, method-assign]
    _real_main(spec, pipe)
