"""One run, prepared and carried out: model, source, collection, processes, telemetry, result."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path

from workbench.collection.writer import CollectionWriter
from workbench.core.errors import RunFailed, WorkbenchError
from workbench.core.paths import remember_collection
from workbench.core.profile_io import save_profile
from workbench.core.run import Failure, LogLine, RunRequest, RunResult
from workbench.core.units import Plan
from workbench.core.version import __version__
from workbench.engine import update as updating
from workbench.engine.assembly import Assembly, assemble
from workbench.engine.early import EarlyEncoder
from workbench.engine.ledger import Ledger
from workbench.engine.rejecting import rejected_unit
from workbench.engine.setting import Setting, resolve
from workbench.engine.state import RunView
from workbench.engine.supervisor import Supervisor
from workbench.engine.trouble import Sink
from workbench.sources.registry import open_source
from workbench.telemetry.recorder import Recorder, machine
from workbench.telemetry.sampler import Sampler
from workbench.telemetry.snapshot import RunFacts
from workbench.telemetry.system import cores
from workbench.telemetry.trace import write_trace

Tell = Callable[[LogLine | Failure], None]


class Session:
    """Everything a run holds while it lasts."""

    def __init__(self, request: RunRequest, tell: Tell, early: EarlyEncoder | None = None) -> None:
        self._request = request
        self._tell = tell
        self._early = early
        self._began = time.perf_counter()
        self._stop = self._kill = self._pause = False
        self.supervisor: Supervisor | None = None
        self.sampler: Sampler | None = None
        self.facts: RunFacts | None = None

    # ── steering, from other threads ─────────────────────────────────────────────────────────────
    def stop(self, *, now: bool) -> None:
        self._stop, self._kill = True, self._kill or now
        self._pass_on()

    def set_paused(self, paused: bool) -> None:
        self._pause = paused
        self._pass_on()

    def _pass_on(self) -> None:
        supervisor = self.supervisor
        if supervisor is not None:
            supervisor.stopping, supervisor.killing = self._stop, self._kill
            supervisor.paused = self._pause and not self._stop

    def log(self, level: str, text: str) -> None:
        """One line for people."""
        self._tell(LogLine(time.time(), level, text))

    # ── the run ──────────────────────────────────────────────────────────────────────────────────
    def execute(self) -> RunResult:
        """Prepare, run, sum up. Raises UsageError for wrong input, RunFailed when it cannot go on."""
        with ExitStack() as stack:
            if self._early is not None:
                stack.callback(self._early.end)
            setting = resolve(self._request)
            into = setting.into
            assembly: Assembly | None = None
            is_new = not (into / "CURRENT").exists()
            run_folder = into / "runs" / _run_name()
            if is_new:  # the model loads while the input is looked through
                assembly = stack.enter_context(assemble(setting, run_folder))
                assembly.start_encoders(self._early)
            source = open_source(setting.source)
            plan = source.plan()
            if not is_new and not self._request.fresh:
                found = updating.find_update(into, setting.source, source, plan)
                if isinstance(found, updating.Update):
                    return self._update(stack, setting, found, run_folder)
                if found is not None:
                    plan = replace(plan, identity=found.sources[found.active].identity)
                    collection = self._open_collection(into, setting, plan)
                    stack.callback(collection.close)
                    return self._nothing_to_do(collection, setting, plan)
            collection = self._open_collection(into, setting, plan)
            stack.callback(collection.close)
            if assembly is None:
                if len(collection.committed_units) == len(plan.units) and collection.has_index:
                    updating.remember_once(collection, updating.input_state(setting.source, plan))
                    return self._nothing_to_do(collection, setting, plan)
                assembly = stack.enter_context(assemble(setting, run_folder, updating.write_withheld(collection)))
                assembly.start_encoders(self._early)
            return self._carry_out(assembly, collection, setting, plan)

    def _update(self, stack: ExitStack, setting: Setting, update: updating.Update, run_folder: Path) -> RunResult:
        """Only what is new is embedded; what is gone is deleted when all of that is committed."""
        collection = self._open_collection(setting.into, setting, update.plan, update.source)
        stack.callback(collection.close)
        updating.begin(collection, update)
        touched = "all" if update.touched is None else f"{len(update.touched):,}"
        beyond = "; what lies beyond the limit stays too" if update.limited else ""
        self.log("info", f"the input has changed: looking at {touched} documents, what is known stays as it is{beyond}")
        if not update.plan.units:
            counts = updating.finish(collection, update, updating.write_known(collection, update))
            result = self._nothing_to_do(collection, setting, update.plan)
            return replace(result, unchanged=counts.unchanged, removed=counts.removed)
        known = str(updating.known_folder(collection))
        assembly = stack.enter_context(assemble(setting, run_folder, known))
        assembly.start_encoders(self._early)
        assembly.start_rest()  # they come up while this process looks at what is known
        candidates = updating.write_known(collection, update)
        result = self._carry_out(assembly, collection, setting, update.plan)
        if result.outcome != "done":
            return result
        counts = updating.finish(collection, update, candidates)
        self.log("info", f"{counts.unchanged:,} chunks unchanged, {counts.reused:,} with known text, "
                         f"{counts.removed:,} gone from the input")
        return _written(assembly, replace(
            result, chunks=updating.added(collection), unchanged=counts.unchanged, reused=counts.reused,
            removed=counts.removed, rejects=collection.rejects,
        ))

    def _open_collection(
        self, into: Path, setting: Setting, plan: Plan, source: Mapping[str, str] | None = None
    ) -> CollectionWriter:
        for note in plan.notes:
            self.log("warning", note)
        collection = CollectionWriter.open(
            into, setting.identity, setting.model.dim, self._request.profile.collection.vectors,
            source or plan.identity, plan.title, fresh=self._request.fresh, append=source is not None,
        )
        remember_collection(into)
        return collection

    def _carry_out(
        self, assembly: Assembly, collection: CollectionWriter, setting: Setting, plan: Plan
    ) -> RunResult:
        before = collection.committed_units
        rows_before = collection.rows
        if before:
            self.log("info", f"resuming: {len(before):,} of {len(plan.units):,} units are committed already")
        supervisor = Supervisor(
            assembly.pipeline, Ledger(plan.units, before), assembly.board,
            batch_slots=setting.shape.batch_slots, vector_slots=setting.shape.vector_slots,
            most_tokens=setting.shape.tokens, sink=self._sink(collection.staging),
        )
        view = RunView(supervisor, plan, rows_before, len(before))
        self.facts = self._facts(assembly, setting, plan)
        self.supervisor = supervisor
        self._pass_on()
        assembly.start_rest()
        recorder = Recorder(assembly.folder, self.facts)  # also without samples: it says what was run
        telemetry = self._request.profile.pipeline.telemetry
        sampler = Sampler(view, recorder=recorder, listener=lambda _: self._learn(recorder))
        if telemetry != "none":
            self.sampler = sampler
            sampler.start()
        try:
            supervisor.run()
            return self._sum_up(assembly, collection, setting, plan, rows_before)
        except WorkbenchError as error:
            _write_failure(assembly, str(error))
            raise
        finally:
            sampler.stop()
            if telemetry == "full":
                with suppress(OSError, WorkbenchError):  # a full disk costs the trace, not the run
                    write_trace(assembly.folder)

    def _learn(self, recorder: Recorder) -> None:
        """What the encoder became after loading belongs to the facts; called in the sampler's thread."""
        info = None if self.supervisor is None else self.supervisor.encoder_info
        facts = self.facts
        if info is None or facts is None or "device" in facts.encoder:
            return
        chosen: dict[str, str | int | float | bool] = {"encoder.token_budget": info.token_budget}
        if info.threads:
            chosen["encoder.threads"] = info.threads
        self.facts = replace(
            facts, encoder={**facts.encoder, **info.told}, settings={**facts.settings, **chosen},
            matrix_flops=info.matrix_flops,
        )
        recorder.update(self.facts)

    def _sink(self, staging: Path) -> Sink:
        return Sink(self.log, self._tell, lambda key, why: rejected_unit(staging, key, why))

    def _facts(self, assembly: Assembly, setting: Setting, plan: Plan) -> RunFacts:
        physical, logical = cores()
        return RunFacts(
            run=assembly.folder.name,
            title=plan.title,
            collection=str(assembly.collection),
            started=time.time(),
            workbench=__version__,
            platform=machine(),
            cores_physical=physical,
            cores_logical=logical,
            settings={"profile": self._request.profile.name, **setting.flat()},
            encoder={"engine": setting.encoders[0].engine, "model": setting.model.name},
            flops_per_token=setting.model.flops_per_token,
            notes=plan.notes,
        )

    # ── the end ──────────────────────────────────────────────────────────────────────────────────
    def _sum_up(
        self, assembly: Assembly, collection: CollectionWriter, setting: Setting, plan: Plan, rows_before: int
    ) -> RunResult:
        run = self.supervisor
        assert run is not None
        collection.reload()
        missing = len(plan.units) - len(run.ledger.committed)
        outcome = "done" if not missing else "stopped"
        if missing and not self._stop:
            raise RunFailed(f"{missing} units are not committed", remedy="The same command resumes")
        if outcome == "done":
            setting.clear_layout()
            if "update" not in collection.manifest.sources[collection.manifest.active].identity:
                updating.remember(collection, updating.input_state(setting.source, plan))
        result = RunResult(
            outcome=outcome,
            collection=str(assembly.collection),
            run=assembly.folder.name,
            chunks=collection.rows - rows_before,
            resumed=rows_before,
            rejects=collection.rejects,
            units=len(run.ledger.committed),
            tokens=run.flow.tokens,
            seconds=time.perf_counter() - self._began,
            tokens_per_second=_rate(run),
            padding_share=1.0 - run.flow.tokens / run.flow.padded if run.flow.padded else 0.0,
            encoder=_encoder(run, setting),
            index=dict(run.index or collection.index_summary()),
            notes=plan.notes,
        )
        save_profile(self._request.profile, assembly.folder / "profile.toml")
        return _written(assembly, result)

    def _nothing_to_do(self, collection: CollectionWriter, setting: Setting, plan: Plan) -> RunResult:
        self.log("info", "everything is committed already; nothing to do")
        encoder = setting.encoders[0]
        return RunResult(
            outcome="done", collection=str(collection.path), run="", chunks=0, resumed=collection.rows,
            rejects=collection.rejects, units=len(plan.units), tokens=0,
            seconds=time.perf_counter() - self._began, tokens_per_second=0.0, padding_share=0.0,
            encoder={"engine": encoder.engine, "device": "", "dtype": "", "model": setting.model.name},
            index=collection.index_summary(), notes=plan.notes,
        )


def _run_name() -> str:
    """Sorts by time, never twice the same."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def _written(assembly: Assembly, result: RunResult) -> RunResult:
    """The result, kept in the run's folder too."""
    (assembly.folder / "result.json").write_text(
        json.dumps(asdict(result), indent=1, ensure_ascii=False), encoding="utf-8", newline="\n"
    )
    return result


def _write_failure(assembly: Assembly, message: str) -> None:
    """A run that failed says so in its folder, for whoever diagnoses it later."""
    content = {"outcome": "failed", "run": assembly.folder.name, "failure": {"message": message}}
    with suppress(OSError):
        (assembly.folder / "result.json").write_text(
            json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8", newline="\n"
        )


def _rate(run: Supervisor) -> float:
    """Tokens per second from the first batch to the last commit."""
    seconds = run.last_commit - run.flow.first_batch
    return run.flow.tokens / seconds if run.flow.first_batch and seconds > 0 else 0.0


def _encoder(run: Supervisor, setting: Setting) -> dict[str, str]:
    info = run.encoder_info
    spec = setting.encoders[0]
    return {
        "engine": spec.engine,
        "device": info.device if info else spec.device,
        "dtype": info.dtype if info else spec.dtype,
        "model": setting.model.name,
    }
