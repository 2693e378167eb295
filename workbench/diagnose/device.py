"""Causes on the encoder's side: padding, small batches, copies, memory, power, and honest compute."""

from __future__ import annotations

from dataclasses import dataclass, replace

from workbench.core.activity import Activity, Counter
from workbench.diagnose.bounds import Model, padded_per_token
from workbench.diagnose.evidence import Evidence
from workbench.diagnose.finding import WORTH, Finding, Settings
from workbench.diagnose.limits import Change, Limit
from workbench.engine.ring import most_rows

#: Range of the row lengths of a unit ÷ their mean, where nothing tells it.
_USUAL_SPREAD = 0.8
#: Share of a batch's time that its fixed cost may have.
_LAUNCH_LEFT = 0.08
#: A request may take so much longer among others than alone before the server counts as busy.
_UNHURRIED = 1.3
_MOST_REQUESTS = 256
#: A unit with so large a share of the rows it aims at is as large as it may be.
_WHOLE = 0.9


@dataclass(frozen=True, slots=True)
class _Candidate:
    gain: float
    finding: Finding


def find(settings: Settings, evidence: Evidence, model: Model, *, parent_binds: bool) -> Finding:
    """What makes the encoder (or, with tiny batches, the parent that passes them on) the bottleneck."""
    if settings.get("encoder.engine") == "remote":
        return _remote(settings, evidence, model)
    copies = _copies(model)
    if copies is not None:
        return copies
    candidates = [
        candidate
        for candidate in (
            _memory(settings, evidence, model), _power(evidence, model),
            _padding(settings, evidence, model), _launch(settings, evidence, model),
        )
        if candidate is not None and candidate.gain >= WORTH
    ]
    if candidates:
        return max(candidates, key=lambda candidate: candidate.gain).finding
    host_binds = model.encoder.parallel and model.encoder.weightiest is Activity.ASSEMBLE
    if parent_binds or (host_binds and settings.get("encoder.engine") != "simulated"):
        return _busy_host(settings, evidence, model, "parent" if parent_binds else "encoder:host")
    return _compute(settings, model)


def _busy_host(settings: Settings, evidence: Evidence, model: Model, stage: str) -> Finding:
    """What is done once for every batch keeps a process busy: larger ones, where units and rows allow them."""
    mean = max(1.0, _mean_batch(evidence))
    times = min(4.0, _most_tokens(settings, evidence) / mean)
    if times < WORTH:
        rows = evidence.encoder.counts[Counter.ROWS] / max(1, evidence.encoder.counts[Counter.BATCHES])
        note = f"batches hold {rows:,.0f} rows, {mean:,.0f} tokens: no budget makes them larger"
        return Finding(Limit.LAUNCH, stage, note=note)
    after = replace(
        model, parent_cpu=model.parent_cpu / times, encoder=model.encoder.scaled(Activity.ASSEMBLE, 1.0 / times)
    )
    return Finding(Limit.LAUNCH, stage, _larger_batches(settings, evidence, times), after)


def _remote(settings: Settings, evidence: Evidence, model: Model) -> Finding:
    """A server that has time left takes more requests at once; a busy one has to be faster."""
    now = int(settings.get("encoder.requests", 1))
    if model.encoder.parallel and model.encoder.weightiest is Activity.ASSEMBLE:
        servers = model.encoder.servers + 1
        change = Change("one more process that talks to the server: this end of the line is busy",
                        "encoder.device", ",".join(["auto"] * servers), str(settings.get("encoder.device", "auto")))
        return Finding(
            Limit.REMOTE, "encoder:host", change, replace(model, encoder=replace(model.encoder, servers=servers))
        )
    requests = evidence.encoder.counts[Counter.LAUNCHES]
    each = now * evidence.encoder.counts[Counter.DEVICE_NS] / 1e9 / requests if requests else 0.0
    alone = evidence.lone_seconds
    if not each or not alone or each > _UNHURRIED * alone or now >= _MOST_REQUESTS:
        took = f" (a request takes {each:.2f} s, {alone:.2f} s alone)" if each and alone else ""
        return Finding(Limit.REMOTE, "encoder:forward", Change(f"a faster or nearer server: this one is busy{took}"))
    more = min(_MOST_REQUESTS, 2 * now)
    text = f"{more} requests at once instead of {now}: each takes {each:.2f} s, hardly more than alone ({alone:.2f} s)"
    after = replace(model, encoder=model.encoder.scaled(Activity.FORWARD, now / more))
    return Finding(Limit.REMOTE, "encoder:forward", Change(text, "encoder.requests", more, now), after)


def _copies(model: Model) -> Finding | None:
    there, back = model.encoder.part(Activity.COPY), model.encoder.part(Activity.COPY_BACK)
    if model.encoder.parallel:
        if model.encoder.weightiest not in (Activity.COPY, Activity.COPY_BACK):
            return None
    elif max(there, back) < 0.45:
        return None
    if there >= back:
        text = "copies to the device bind: check that the card sits in a full-width slot (PCIe ×16)"
        return Finding(
            Limit.COPY, "encoder:copy", Change(text),
            replace(model, encoder=model.encoder.scaled(Activity.COPY, 0.0)),
        )
    text = "copies back from the device bind: check the card's slot (PCIe ×16), or use a model with shorter vectors"
    return Finding(
        Limit.COPY_BACK, "encoder:copy back", Change(text),
        replace(model, encoder=model.encoder.scaled(Activity.COPY_BACK, 0.0)),
    )


def _memory(settings: Settings, evidence: Evidence, model: Model) -> _Candidate | None:
    """The budget was cut, or the card's memory is full and spills over the bus."""
    if evidence.spills:
        budget = max(1, evidence.budget // 2)
        change = Change("halve the token budget: the card's memory spills into RAM",
                        "encoder.token_budget", budget, evidence.budget)
        return _Candidate(float("inf"), Finding(Limit.MEMORY, "encoder:forward", change))
    fit = evidence.fit
    if not evidence.budget_cuts or fit is None or fit.launch_share < _LAUNCH_LEFT:
        return None
    gain = 1.0 / (1.0 - fit.launch_share)
    text = (
        f"the device has no memory for more than {evidence.budget:,} padded tokens a batch: "
        "free memory on it, or use half precision or a smaller model"
    )
    change = Change(text, "encoder.token_budget", evidence.budget, int(settings.get("encoder.token_budget", 0)))
    return _Candidate(gain + 1.0, Finding(Limit.MEMORY, "encoder:forward", change))  # what memory brings: unknown


def _power(evidence: Evidence, model: Model) -> _Candidate | None:
    card = evidence.card
    if card is None:
        return None
    reasons = [reason for reason, share in card.throttle if share >= 0.5]
    if not reasons:
        return None
    ratio = card.clock / card.clock_max if card.clock and card.clock_max else None
    if ratio is not None and ratio > 0.95:
        return None
    gain = 1.0 / ratio if ratio else 1.1
    what = "cooling" if any("therm" in reason for reason in reasons) else "power limit"
    text = f"the card slows itself down ({', '.join(reasons)}): improve its {what}"
    after = replace(model, encoder=model.encoder.scaled(Activity.FORWARD, ratio)) if ratio else None
    return _Candidate(gain, Finding(Limit.POWER, "encoder:forward", Change(text), after))


def _padding(settings: Settings, evidence: Evidence, model: Model) -> _Candidate | None:
    """Padding that packing rows of like length would save."""
    if evidence.padding < 0.08:
        return None
    if settings.get("pipeline.batching") == "rows":
        launches = evidence.fit is not None and evidence.fit.launch_share > evidence.padding
        return None if launches else _packed(settings, evidence, model, Limit.PADDING)
    now = int(settings.get("source.unit_rows", 8192))
    if _unit_rows(evidence) < _WHOLE * now:
        return None  # units end earlier for another reason: a small input, long texts
    change = Change("larger units hold more rows of like length", "source.unit_rows", 4 * now, now)
    batch = _mean_batch(evidence)
    after = _forward(model, _factor(evidence, _tidy(evidence, batch, 4.0 * _unit_tokens(evidence)), batch), 1.0)
    return _Candidate(_encoder_gain(model, after), Finding(Limit.PADDING, "encoder:forward", change, after))


def _packed(settings: Settings, evidence: Evidence, model: Model, limit: Limit) -> _Candidate:
    """Fixed rows in source order → rows of like length under the token budget."""
    change = Change("pack rows of like length under the token budget", "pipeline.batching", "tokens", "rows")
    unit = _unit_tokens(evidence)
    budget = float(evidence.budget or settings.get("encoder.token_budget", 0) or 16384)
    batch = min(budget, _most_tokens(settings, evidence))
    factor = _factor(evidence, _tidy(evidence, batch, unit), _filled(batch, unit))
    after = _forward(model, factor, batch / _mean_batch(evidence))
    return _Candidate(_encoder_gain(model, after), Finding(limit, "encoder:forward", change, after))


def _tidy(evidence: Evidence, batch: float, unit: float) -> float:
    """Padded per real token when a unit's rows, sorted by length, fill batches of `batch` tokens.

    Over one of m batches lengths fall by about 1/m of their whole range, half of which is padding. The range ÷ mean
    shows in unsorted batches as padded ÷ real tokens; of packed ones it is not known and taken as 0.8.
    """
    padded = padded_per_token(evidence)
    spread = padded if padded > 1.15 else _USUAL_SPREAD
    return 1.01 + 0.5 * spread * min(1.0, batch / max(unit, 1.0))


def _filled(batch: float, unit: float) -> float:
    """Mean tokens of a batch under a budget of `batch`: a unit's last batch is a part, others end a little early."""
    return 0.95 * batch / (1.0 + batch / max(unit, 1.0))


def _launch(settings: Settings, evidence: Evidence, model: Model) -> _Candidate | None:
    """Every batch has a fixed cost; larger batches share it among more tokens."""
    fit = evidence.fit
    if fit is None or fit.launch_share < 2 * _LAUNCH_LEFT:
        return None
    if settings.get("pipeline.batching") == "rows":
        # One change cures both; the larger share gives it its name.
        return _packed(settings, evidence, model, Limit.LAUNCH) if fit.launch_share > evidence.padding else None
    unit, most = _unit_tokens(evidence), _most_tokens(settings, evidence)

    def factor(times: float) -> float:
        batch = min(fit.mean * times, most)
        padded = max(_tidy(evidence, batch, unit), min(padded_per_token(evidence), 1.15))
        return _factor(evidence, padded, _filled(batch, unit))

    choices = [2.0, *(2.0**i for i in range(2, 7) if fit.mean * 2.0 ** (i - 1) < most)]
    best = min(factor(times) for times in choices)
    times = next(times for times in choices if factor(times) <= 1.04 * best)  # the smallest that nearly does it
    after = _forward(model, factor(times), min(times, most / fit.mean))
    change = _larger_batches(settings, evidence, times)
    return _Candidate(_encoder_gain(model, after), Finding(Limit.LAUNCH, "encoder:forward", change, after))


def _larger_batches(settings: Settings, evidence: Evidence, times: float) -> Change:
    now = evidence.budget or int(settings.get("encoder.token_budget", 0)) or int(_mean_batch(evidence))
    value = int(now * times)
    return Change(f"larger batches: {now:,} → {value:,} tokens", "encoder.token_budget", value, now)


def _compute(settings: Settings, model: Model) -> Finding:
    """The device computes all the time; on a CPU there may be cores that nobody uses (a hyperthread is none)."""
    if model.on_cpu:
        threads = int(model.threads)
        free = model.spare - model.cpu * model.expected()
        more = min(model.hardware.physical, threads + int(free + 0.3))
        if more > threads:
            after = _wider(model, more)
            if after.expected() >= WORTH * model.expected():
                change = Change(f"let the encoder use {more} threads: cores are idle", "encoder.threads", more, threads)
                return Finding(Limit.COMPUTE, "encoder:forward", change, after)
    return Finding(Limit.COMPUTE, "encoder:forward")


def _wider(model: Model, threads: int) -> Model:
    """More threads: the same CPU work in less time (matrix products of a batch share out nearly evenly)."""
    ratio = model.threads / threads
    encoder = replace(
        model.encoder,
        parts={a: s * (ratio if a is Activity.FORWARD else 1.0) for a, s in model.encoder.parts.items()},
    )
    return replace(model, encoder=encoder, threads=float(threads))


def _factor(evidence: Evidence, padded: float, batch: float) -> float:
    """Time per real token after ÷ now, with `padded` tokens per real token in batches of `batch` tokens."""
    fit, now = evidence.fit, padded_per_token(evidence)
    if fit is None or fit.launch + fit.per_token * fit.mean <= 0:
        return padded / now
    before = now * (fit.launch / fit.mean + fit.per_token)
    return padded * (fit.launch / max(batch, 1.0) + fit.per_token) / before


def _forward(model: Model, factor: float, batches: float) -> Model:
    """The model when a token's forward takes `factor` of its time in batches `batches` times as large."""
    encoder = model.encoder.scaled(Activity.FORWARD, factor)
    if not model.on_cpu:
        encoder = replace(encoder, cpu=model.encoder.cpu / max(1.0, batches))
    return replace(model, encoder=encoder, parent_cpu=model.parent_cpu / max(1.0, batches))


def _encoder_gain(model: Model, after: Model) -> float:
    return model.encoder.seconds / after.encoder.seconds if after.encoder.seconds > 0 else float("inf")


def _mean_batch(evidence: Evidence) -> float:
    counts = evidence.encoder.counts
    return counts[Counter.PADDED_TOKENS] / max(1, counts[Counter.BATCHES])


def _most_tokens(settings: Settings, evidence: Evidence) -> float:
    """Padded tokens that a batch can hold, whatever its budget: a unit's, and those of as many rows as it may have."""
    counts, dim = evidence.encoder.counts, int(settings.get("encoder.dim", 0))
    unit = _unit_tokens(evidence)
    if not counts[Counter.ROWS] or dim < 1:
        return unit
    return min(unit, most_rows(dim) * counts[Counter.PADDED_TOKENS] / counts[Counter.ROWS])


def _unit_rows(evidence: Evidence) -> float:
    """Rows of a unit; 0 where no unit was done."""
    counts = evidence.worker.counts
    if not counts[Counter.UNITS] or not counts[Counter.TOKENS]:
        return 0.0
    return _unit_tokens(evidence) * counts[Counter.ROWS] / counts[Counter.TOKENS]


def _unit_tokens(evidence: Evidence) -> float:
    """Tokens of a unit: no batch can hold more."""
    counts = evidence.worker.counts
    units = counts[Counter.UNITS]
    tokens = counts[Counter.PREPARED_TOKENS] or counts[Counter.TOKENS]
    return tokens / units if units and tokens else float("inf")
