"""An encoder process that imports torch while the parent is still getting ready: that import takes longest of all.

It begins with no more than a pipe. What it is to be it is told when the run is settled; then it is a process like
any other of the pipeline. Should it have died meanwhile, one is started in the ordinary way.
"""

from __future__ import annotations

from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from workbench.core.paths import default_collection
from workbench.core.run import RunRequest
from workbench.engine.children import CONTEXT, make_pipe
from workbench.engine.enter import enter_encoder


class EarlyEncoder:
    """A process that waits to be told what it is."""

    def __init__(self) -> None:
        ours, theirs = make_pipe()
        self._pipe: Connection | None = ours
        self._process = CONTEXT.Process(target=enter_encoder, args=(theirs,), name="workbench encoder", daemon=True)
        self._process.start()
        theirs.close()

    def become(self, spec: object) -> tuple[BaseProcess, Connection] | None:
        """Tell it what it is: from now on it is the caller's. None when it is gone."""
        pipe = self._pipe
        if pipe is None or not self._process.is_alive():
            return None
        try:
            pipe.send(spec)
        except OSError:
            return None
        self._pipe = None
        return self._process, pipe

    def end(self) -> None:
        """End it, unless it has become something."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
            self._process.kill()
            self._process.join(1.0)


def begin_early(request: RunRequest) -> EarlyEncoder | None:
    """Begin, where a run is sure to need it: a new collection and an engine that imports torch."""
    into = request.into or default_collection(request)
    if request.profile.encoder.engine != "torch" or (into / "CURRENT").exists():
        return None
    return EarlyEncoder()
