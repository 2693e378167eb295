"""Vectors of some settings against fp32, on texts of the user's own: what a number format costs in quality."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import RunFailed, WorkbenchError
from workbench.core.profile import Profile
from workbench.core.run import RunRequest
from workbench.diagnose import alone, prepared
from workbench.diagnose.ceilings import job, prepare, run_jobs
from workbench.encoders.base import EncoderSpec
from workbench.encoders.registry import encoder_spec
from workbench.engine.setting import resolve
from workbench.sources.registry import open_source

#: Rows compared.
ROWS = 256


class Parity:
    """Cosines to fp32 on the first rows of an input; batches are prepared once, vectors kept per settings."""

    def __init__(self, request: RunRequest, folder: Path) -> None:
        """`folder`: a temporary folder that outlives this object."""
        self._folder = folder
        self._setting = resolve(replace(request, into=folder / "c", fresh=False))
        self._batches = ""
        self._no_reference: WorkbenchError | None = None
        self._vectors: dict[tuple[str, str, str], NDArray[np.float32]] = {}

    def cosine(self, profile: Profile) -> float | None:
        """Mean cosine of the profile's vectors to those of fp32; None where nothing is computed here.

        Raises UsageError when the profile's vectors cannot be had, RunFailed also when there are none in fp32.
        """
        if profile.encoder.engine != "torch":
            return None
        exact = replace(profile.encoder, engine="torch", dtype="fp32", attention="auto")
        theirs, ours = self._exact(replace(profile, encoder=exact)), self._encode(profile)
        norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
        return float(np.mean(np.einsum("ij,ij->i", ours, theirs) / np.maximum(norms, 1e-12)))

    def _exact(self, profile: Profile) -> NDArray[np.float32]:
        """Vectors in fp32; a model that has no room for them is not loaded again for every number format."""
        if self._no_reference is None:
            try:
                return self._encode(profile)
            except WorkbenchError as error:
                self._no_reference = error
        raise RunFailed(f"there are no vectors in fp32 to compare with: {self._no_reference}") from self._no_reference

    def _encode(self, profile: Profile) -> NDArray[np.float32]:
        section = profile.encoder
        key = (section.engine, section.dtype, section.attention)
        if key not in self._vectors:
            device = section.device.split(",")[0].strip() or "auto"
            spec = encoder_spec(replace(section, device=device), self._setting.model)
            out = self._folder / f"{'-'.join(key)}.npy"
            run_jobs([job(_vectors, (spec, self._prepared(), str(out)))])
            self._vectors[key] = np.load(out)
        return self._vectors[key]

    def _prepared(self) -> str:
        if not self._batches:
            kept = self._folder / "parity"
            kept.mkdir()
            (self._setting.into / "staging").mkdir(parents=True, exist_ok=True)
            prepare(self._setting, open_source(self._setting.source).plan(), kept)
            self._batches = str(kept)
        return self._batches


def _vectors(task: tuple[EncoderSpec, str, str], pipe: Connection) -> None:
    """Entry point of a process: encode the first prepared rows into a .npy file."""
    from workbench.core.activity import NullMeter
    from workbench.encoders.registry import open_encoder

    spec, batches, out = task
    encoder = open_encoder(spec)
    encoder.load()
    pipe.send("ready")
    pipe.recv()
    found, rows = [], 0
    for batch in prepared.kept(Path(batches)):
        found.append(encoder.submit(batch, NullMeter()).vectors())
        rows += len(batch.lengths)
        if rows >= ROWS:
            break
    np.save(out, np.concatenate(found).astype(np.float32))
    pipe.send(alone.Done(0, rows, 0, 0.0, 0.0))
    encoder.close()


def temporary() -> tempfile.TemporaryDirectory[str]:
    """A folder for `Parity`."""
    return tempfile.TemporaryDirectory(prefix="workbench-parity-", ignore_cleanup_errors=True)
