"""The verdict: a pure function of snapshots, and the live one that changes only when it holds.

Method: measured demands and asymptotic bounds (`bounds`), rules that tell causes apart (`causes`, `device`),
confidence from the agreement of windows. No clock, no process, no file is touched here.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import mean, pstdev

from workbench.core.activity import Activity, Counter
from workbench.diagnose import words
from workbench.diagnose.bounds import Model, build
from workbench.diagnose.causes import find
from workbench.diagnose.evidence import Evidence, gather
from workbench.diagnose.finding import LEAST_GAIN, WORTH, Finding
from workbench.diagnose.indexing import index_finding
from workbench.diagnose.limits import LABELS, UNDECIDED, Change, Limit, Utilisation, Verdict
from workbench.diagnose.steady import steady, total
from workbench.telemetry.snapshot import RunFacts, Snapshot

#: What a window must hold before anything is said: (seconds, batches), one of them. A small processor takes seconds
#: for a batch, and who waits for whom shows after two.
LEAST = ((2.0, 3), (4.0, 2))
#: Windows a verdict is checked on.
_WINDOWS = 6
#: Of today's shortfall against the bounds at most so much is expected to stay: larger ones come from bursts of the
#: stage that binds now, and go with it.
_KEPT_INEFFICIENCY = 0.95
#: Seconds between two looks of a live verdict, and snapshots that each is given: all that the sampler keeps.
LOOK_EVERY = 2.0
LOOK_BACK = 480
#: A look that cannot decide goes so many times as far back: a large model on a processor takes 20 s for a batch.
_FURTHER = (1, 2, 4, 10)
#: Phases in which a live verdict is looked for: what limited the run stays on the screen after them.
GOING = ("starting", "running")
#: Looks at a recording at most: a night's run is looked at less often.
_MOST_LOOKS = 1200
_STAGE_WORDS = {
    "encoder": LABELS[Limit.COMPUTE], "writer": LABELS[Limit.WRITE], "parent": LABELS[Limit.LAUNCH],
}

__all__ = ["GOING", "LOOK_BACK", "LOOK_EVERY", "LiveVerdict", "course", "diagnose", "summary_lines"]

summary_lines = words.summary_lines


def diagnose(facts: RunFacts, snapshots: Sequence[Snapshot], notes: Sequence[str] = ()) -> Verdict:
    """What limits the run, from all snapshots of it (or a window of it), in time order.

    Never raises for a short, cut-off or odd recording: the verdict is then `warming up` or
    `not enough evidence`, with the reason as its headline.
    """
    notes = (*notes, *facts.notes)
    part = steady(snapshots)
    lacking = _lacking(snapshots, part)
    if lacking is not None:
        return replace(lacking, notes=notes)
    evidence, model, finding = _look(facts, part)
    verdict = _verdict(facts, evidence, model, finding)
    indexing = index_finding(facts, snapshots, verdict)
    if indexing is not None:
        verdict = indexing
    confidence = 0.0 if verdict.limit in UNDECIDED else _confidence(facts, part, finding.limit)
    return replace(verdict, confidence=confidence, notes=notes)


def _look(facts: RunFacts, part: Sequence[Snapshot]) -> tuple[Evidence, Model, Finding]:
    evidence = gather(facts, part)
    device = str(facts.encoder.get("device", ""))
    model = build(evidence, float(facts.settings.get("encoder.threads", 0) or 0), device)
    return evidence, model, find(facts.settings, evidence, model)


def _lacking(snapshots: Sequence[Snapshot], part: Sequence[Snapshot]) -> Verdict | None:
    """Why nothing can be said yet, or at all."""
    if not snapshots:
        return _undecided(Limit.UNKNOWN, "Not enough evidence: nothing was recorded")
    seconds = (part[-1].time_ns - part[0].time_ns) / 1e9 if len(part) > 1 else 0.0
    batches = total(part[-1], "encoder", Counter.BATCHES) - total(part[0], "encoder", Counter.BATCHES) if part else 0
    ended = snapshots[-1].progress.phase in ("ended", "stopping", "indexing")
    if len(part) >= 4 and any(seconds >= least and batches >= count for least, count in LEAST):
        return None
    if not ended:
        phase = snapshots[-1].progress.phase
        doing = "the model loads, the first units are prepared" if not batches else "the first batches are through"
        return _undecided(Limit.WARMING_UP, f"Warming up ({phase}): {doing}")
    return _undecided(
        Limit.UNKNOWN,
        f"Not enough evidence: {max(0.0, seconds):.1f} s of steady work and {batches} batches; "
        + " or ".join(f"{least:.0f} s and {count} batches" for least, count in LEAST) + " are needed",
    )


def _undecided(limit: Limit, headline: str) -> Verdict:
    return Verdict(limit=limit, headline=headline)


def _verdict(facts: RunFacts, evidence: Evidence, model: Model, finding: Finding) -> Verdict:
    now = evidence.tokens_per_second
    predicted, then = _predict(evidence, model, finding)
    worthwhile = finding.change is not None and (predicted is None or predicted >= (WORTH - 0.03) * now)
    healthy = finding.limit is Limit.COMPUTE and not worthwhile
    change: Change | None = finding.change
    lines = words.evidence_lines(finding, evidence, model)
    useless = change is not None and predicted is not None and predicted < LEAST_GAIN * now
    if useless and not healthy:
        lines = (*lines[:1], words.no_change(then), *lines[1:])
    if healthy or useless:
        change, predicted, then = None, None, ""
    return Verdict(
        limit=finding.limit,
        stage=finding.stage,
        headline=words.headline(finding, healthy=healthy),
        evidence=lines,
        change=change,
        tokens_per_second=now,
        predicted_tokens_per_second=predicted,
        next_limit=then,
        utilisation=_utilisation(facts, evidence),
        healthy=healthy,
        bounds=tuple(sorted(((n, b) for n, b in model.bounds().items() if b < float("inf")), key=lambda x: x[1])),
    )


def _predict(evidence: Evidence, model: Model, finding: Finding) -> tuple[float | None, str]:
    """Throughput after the change (tokens/s) and what binds then."""
    if finding.change is None or finding.after is None:
        return None, ""
    after = finding.after.expected()
    if not finding.full and model.expected() > 0:
        today = evidence.tokens_per_second / model.expected()
        after *= min(1.05, max(_KEPT_INEFFICIENCY, today))
    return max(after, evidence.tokens_per_second), _binds(finding.after)


def _binds(model: Model) -> str:
    """What limits a model, in words."""
    name, _ = model.lowest()
    if name == "cpu":
        return "the CPU cores (" + ("device compute)" if model.encoder.cpu > model.worker.cpu else "tokenising)")
    if name == "worker":
        reads = model.worker.part(Activity.READ) > 0.5
        return LABELS[Limit.READ] if reads else LABELS[Limit.TOKENISE]
    return _STAGE_WORDS[name]


def _utilisation(facts: RunFacts, evidence: Evidence) -> Utilisation:
    card = evidence.card
    flops = evidence.encoder.counts[Counter.FLOPS] * 1e6
    rate = (facts.matrix_flops or 0.0) * facts.devices
    return Utilisation(
        kernels=card.utilisation / 100.0 if card is not None and card.utilisation is not None else None,
        mfu=flops / evidence.seconds / rate if rate and flops and evidence.seconds else None,
        padding=evidence.padding,
        power=card.power if card is not None else None,
        power_limit=card.power_limit if card is not None else None,
        cpu=evidence.cpu_own,
        foreign=evidence.cpu_foreign if evidence.cpu_system is not None else None,
        cores=evidence.cores,
    )


def _confidence(facts: RunFacts, part: Sequence[Snapshot], limit: Limit) -> float:
    """Share of the windows that name the same limit × (1 − half the spread of their rates), 0–1."""
    windows = [window for window in _windows(part) if window[-1].time_ns > window[0].time_ns]
    if not windows:
        return 0.0
    looks = [_look(facts, window) for window in windows]
    agreement = sum(finding.limit is limit for _, _, finding in looks) / len(looks)
    rates = [evidence.tokens_per_second for evidence, _, _ in looks]
    spread = pstdev(rates) / mean(rates) if len(rates) > 1 and mean(rates) > 0 else 0.0
    length = min(1.0, (part[-1].time_ns - part[0].time_ns) / 5e9)
    return (0.4 + 0.6 * agreement) * (1.0 - min(0.5, 0.5 * spread)) * (0.6 + 0.4 * length)


def _windows(part: Sequence[Snapshot]) -> list[Sequence[Snapshot]]:
    """Equal windows of at least a second and a half and two batches, at most `_WINDOWS`."""
    seconds = (part[-1].time_ns - part[0].time_ns) / 1e9
    batches = total(part[-1], "encoder", Counter.BATCHES) - total(part[0], "encoder", Counter.BATCHES)
    count = max(1, min(_WINDOWS, int(seconds / 1.5), (len(part) - 1) // 3, batches // 2))
    edges = [round(i * (len(part) - 1) / count) for i in range(count + 1)]
    return [part[edges[i] : edges[i + 1] + 1] for i in range(count)]


class LiveVerdict:
    """The verdict of a running run: of its last seconds, and changed only when the change holds.

    Args:
        facts: of the run.
        seconds: length of the window looked at; where it is too short for the run's batches, up to ten times that.
        hold: looks in a row that must agree before another limit is shown. The first limit after
            `warming up` is shown at once.
    """

    def __init__(self, facts: RunFacts, seconds: float = 12.0, hold: int = 3) -> None:
        self._facts, self._seconds = facts, seconds
        self._recent: deque[Limit] = deque(maxlen=hold)
        self.shown = Verdict(limit=Limit.WARMING_UP, headline="Warming up: the run has just begun")

    def update(self, snapshots: Sequence[Snapshot], facts: RunFacts | None = None) -> Verdict:
        """Look again; `snapshots` in time order: the last `LOOK_BACK`, or all there are. Returns what to show.

        `facts`: newer ones; what the encoder became is known only when it has loaded.
        """
        if not snapshots:
            return self.shown
        self._facts = facts or self._facts
        new = self._look(snapshots)
        self._recent.append(new.limit)
        same = new.limit is self.shown.limit
        if same or not self.shown.decided or (new.decided and self._holds(new.limit)):
            self.shown = new
        return self.shown

    def _look(self, snapshots: Sequence[Snapshot]) -> Verdict:
        """The verdict of the shortest look back that decides anything; looks that decide nothing cost little."""
        new, seen = self.shown, 0
        for times in _FURTHER:
            since = snapshots[-1].time_ns - int(times * self._seconds * 1e9)
            window = [s for s in snapshots if s.time_ns >= since]
            if len(window) == seen:
                break  # there is nothing older
            new, seen = diagnose(self._facts, window), len(window)
            if new.decided:
                break
        return new

    def _holds(self, limit: Limit) -> bool:
        full = len(self._recent) == self._recent.maxlen
        return full and Tally(self._recent)[limit] == len(self._recent)


def course(facts: RunFacts, snapshots: Sequence[Snapshot]) -> Iterator[tuple[float, Verdict]]:
    """What a `LiveVerdict` showed while a recorded run went on: (seconds since 1970, verdict), in time order.

    The last one stands until the run ends. About 1.5 ms a look.
    """
    if not snapshots:
        return
    every = max(LOOK_EVERY, (snapshots[-1].wall - snapshots[0].wall) / _MOST_LOOKS)
    live, due = LiveVerdict(facts), snapshots[0].wall
    for number, snapshot in enumerate(snapshots):
        if snapshot.wall >= due and snapshot.progress.phase in GOING:
            due = snapshot.wall + every
            yield snapshot.wall, live.update(snapshots[max(0, number + 1 - LOOK_BACK) : number + 1])
