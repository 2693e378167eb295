"""The verdict in words: one sentence, its evidence in numbers with units."""

from __future__ import annotations

from workbench.core.activity import Activity, Counter
from workbench.diagnose.bounds import Model
from workbench.diagnose.evidence import Evidence, StageUse
from workbench.diagnose.finding import LEAST_GAIN, Finding
from workbench.diagnose.limits import LABELS, Limit, Verdict


def rate(tokens_per_second: float) -> str:
    """Tokens per second for people: `412 k tokens/s`."""
    if tokens_per_second >= 1e6:
        return f"{tokens_per_second / 1e6:.2f} M tokens/s"
    if tokens_per_second >= 1e4:
        return f"{tokens_per_second / 1e3:.0f} k tokens/s"
    if tokens_per_second >= 1e3:
        return f"{tokens_per_second / 1e3:.1f} k tokens/s"
    return f"{tokens_per_second:.0f} tokens/s"


def percent(share: float) -> str:
    """A share (0–1) as `38 %`."""
    return f"{100 * share:.0f} %"


def headline(finding: Finding, *, healthy: bool) -> str:
    """One sentence that names what limits the run."""
    if healthy:
        return "The run is healthy: the device sets the pace"
    if finding.limit is Limit.WORKERS:
        what = finding.stage.partition(":")[2] or "the workers"
        return f"Too few workers: {what} limits the run"
    label = LABELS[finding.limit]
    verb = "limit" if label.startswith(("copies", "other programs", "CPU cores", "slicing and")) else "limits"
    return f"{label[0].upper()}{label[1:]} {verb} the run"


def evidence_lines(finding: Finding, evidence: Evidence, model: Model) -> tuple[str, ...]:
    """The numbers behind the finding, the most telling first."""
    lines = [*_about(finding, evidence, model), finding.note, *_stages(evidence), *_machine(evidence, model)]
    return tuple(dict.fromkeys(line for line in lines if line))


def no_change(then: str) -> str:
    """Why nothing is suggested. `then`: what would limit after the best change that was found."""
    why = f": {then} would limit at once" if then else ""
    return f"nothing worthwhile to change was found, no change promises {percent(LEAST_GAIN - 1.0)} or more{why}"


def _stages(evidence: Evidence) -> list[str]:
    return [
        _stage("workers" if evidence.worker.servers > 1 else "worker", evidence.worker),
        _stage("encoders" if evidence.encoder.servers > 1 else "encoder", evidence.encoder),
        _stage("writer", evidence.writer),
    ]


def _stage(name: str, use: StageUse) -> str:
    waits_in, waits_out = use.share(Activity.WAIT_INPUT), use.share(Activity.WAIT_OUTPUT)
    count = f"{use.servers} " if use.servers > 1 else ""
    return (
        f"{count}{name}: busy {percent(use.busy_share())}, waiting for input {percent(waits_in)}, "
        f"for output {percent(waits_out)} of the time"
    )


def _machine(evidence: Evidence, model: Model) -> list[str]:
    if evidence.cpu_own is None:
        return []
    text = f"CPU: the run uses {evidence.cpu_own:.2f} of {_cores(model)}"
    if evidence.cpu_foreign >= 0.05 * evidence.cores:
        text += f", other programs {evidence.cpu_foreign:.2f}"
    if evidence.cpu_beside >= 0.05 * evidence.cores:
        text += f", searches and jobs beside it {evidence.cpu_beside:.2f}"
    if model.slow >= 1.15:
        text += f"; work that needs only a core takes {model.slow:.1f} × its CPU time"
    return [text]


def _cores(model: Model) -> str:
    hardware = model.hardware
    shared = f" (two threads on each of {hardware.physical})" if hardware.logical == 2 * hardware.physical else ""
    return f"{hardware.logical} cores{shared}"


def _about(finding: Finding, evidence: Evidence, model: Model) -> list[str]:
    """What speaks for this limit in particular."""
    limit, fit, card = finding.limit, evidence.fit, evidence.card
    if limit is Limit.RING:
        return [
            f"{rate(evidence.tokens_per_second)} although every stage allows "
            f"{rate(model.lowest()[1])}: both sides of the ring wait in turn "
            f"(it is {percent(evidence.batches_fill)} full on average)"
        ]
    if limit is Limit.LAUNCH and fit is not None:
        return [
            f"a batch costs {1e3 * fit.launch:.2f} ms + {1e6 * fit.per_token:.2f} µs per token: with "
            f"{fit.mean:,.0f} tokens a batch, {percent(fit.launch_share)} of the time is the fixed cost"
        ]
    if limit is Limit.PADDING:
        return [f"{percent(evidence.padding)} of the computed tokens are padding"]
    if limit is Limit.MEMORY:
        return [_memory(evidence)]
    if limit is Limit.POWER and card is not None:
        reasons = ", ".join(f"{name} {percent(share)} of the time" for name, share in card.throttle)
        clock = f", clock {card.clock:.0f} of {card.clock_max:.0f} MHz" if card.clock and card.clock_max else ""
        power = f", {card.power:.0f} of {card.power_limit:.0f} W" if card.power and card.power_limit else ""
        heat = f", {card.temperature:.0f} °C" if card.temperature else ""
        return [f"the card reports: {reasons}{clock}{power}{heat}"]
    if limit is Limit.REMOTE:
        answered = evidence.encoder.counts[Counter.LAUNCHES] / max(evidence.seconds, 1e-9)
        used = min(1.0, evidence.tokens_per_second / max(model.encoder.bound, 1e-9))
        return [f"{answered:.1f} requests/s answered; as many as allowed were under way {percent(used)} of the time"]
    if limit in (Limit.COPY, Limit.COPY_BACK, Limit.COMPUTE):
        return [_engines(evidence, model) if model.encoder.parallel else _shares(model)]
    if limit in (Limit.WORKERS, Limit.TOKENISE, Limit.READ):
        return [_worker_parts(evidence, model)]
    if limit in (Limit.WRITE, Limit.INDEX):
        written = evidence.writer.counts[Counter.BYTES_WRITTEN]
        return [f"the writer wrote {written / max(evidence.seconds, 1e-9) / 1e6:.1f} MB/s of vectors"]
    return []


def _memory(evidence: Evidence) -> str:
    card = evidence.card
    if card is None or not evidence.spills:
        return f"the token budget was cut {evidence.budget_cuts} times, to {evidence.budget:,} tokens"
    used = "" if card.memory_share is None else f" is {percent(card.memory_share)} full"
    held = f"the encoder holds {evidence.device_bytes / 1e9:.1f} of {(card.memory_total or 0.0) / 1e9:.1f} GB"
    bus = held if card.pcie is None else f"{card.pcie / 1e9:.1f} GB/s come to it over the bus"
    return f"the card's memory{used}: {bus}"


def _engines(evidence: Evidence, model: Model) -> str:
    """Engines of a device work side by side: each one's utilisation."""
    now, stage = evidence.tokens_per_second, model.encoder
    names = ((Activity.FORWARD, "computing"), (Activity.COPY, "copying in"), (Activity.COPY_BACK, "copying back"))
    named = ", ".join(
        f"{name} {percent(min(1.0, stage.parts.get(a, 0.0) * now / stage.servers))}" for a, name in names
    )
    return f"the device: {named} of the time"


def _shares(model: Model) -> str:
    parts = sorted(model.encoder.parts.items(), key=lambda item: -item[1])[:3]
    whole = model.encoder.seconds
    named = ", ".join(f"{a.name.lower().replace('_', ' ')} {percent(s / whole)}" for a, s in parts if s >= 0.01 * whole)
    return f"the encoder's time: {named}" if whole else ""


def _worker_parts(evidence: Evidence, model: Model) -> str:
    stage = model.worker
    parts = sorted(stage.parts.items(), key=lambda item: -item[1])[:4]
    named = ", ".join(
        f"{a.name.lower()} {percent(s / stage.seconds)}" for a, s in parts if s >= 0.01 * stage.seconds
    )
    each = rate(1.0 / stage.seconds) if stage.seconds else "n/a"
    free = max(0.0, evidence.cores - (evidence.cpu_system or evidence.cpu_own or 0.0))
    return f"one worker prepares {each} ({named}); {free:.1f} of {_cores(model)} are free"


def summary_lines(verdict: Verdict) -> list[str]:
    """The verdict for the end of a run or the command line: sentence, evidence, change, prediction."""
    lines = [verdict.headline]
    lines += [f"  {line}" for line in verdict.evidence]
    if verdict.change is not None:
        lines.append(f"Do: {_change(verdict)}")
    if verdict.decided:
        lines.append(_used(verdict))
        lines.append(f"Confidence: {percent(verdict.confidence)}")
    lines += [f"Note: {note}" for note in verdict.notes]
    return [line for line in lines if line]


def _change(verdict: Verdict) -> str:
    change = verdict.change
    if change is None:
        return ""
    setting = f" (--set {change.key}={change.value})" if change.key else ""
    after = verdict.predicted_tokens_per_second
    if after is None or verdict.tokens_per_second <= 0:
        return change.text + setting
    gain = 100.0 * (after / verdict.tokens_per_second - 1.0)
    then = f", then {verdict.next_limit} limits" if verdict.next_limit else ""
    return f"{change.text}{setting}. Predicted: {rate(after)} ({gain:+.0f} %){then}"


def _used(verdict: Verdict) -> str:
    """How well the device is used, in one line."""
    use = verdict.utilisation

    def share(value: float | None) -> str:
        return "n/a" if value is None else percent(value)

    power = "n/a" if use.power is None else f"{use.power:.0f} W"
    if use.power is not None and use.power_limit:
        power += f" of {use.power_limit:.0f} W"
    return (
        f"Device: kernels running {share(use.kernels)} of the time, MFU {share(use.mfu)}, "
        f"padding {share(use.padding)}, power {power}; throughput {rate(verdict.tokens_per_second)}"
    )
