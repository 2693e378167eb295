"""Finding the best settings: short trials, each chosen by the verdict of the best one so far.

The verdict says what binds; only what could move that is tried. A step tries up to three changes briefly and
keeps the better half for a longer trial (successive halving; Jamieson & Talwalkar, AISTATS 2016), so that most
of the time goes to settings that are nearly best. A change that alters numbers (number format, attention, engine)
must first show vectors that agree with fp32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from workbench.core.errors import WorkbenchError
from workbench.core.profile import MOST_WORKERS, Profile
from workbench.core.profile_io import apply_overrides, flat
from workbench.diagnose.limits import Limit, Verdict
from workbench.diagnose.trial import Outcome

Value = str | int | float | bool
Settings = Mapping[str, Value]

#: Keys a tuner may set; others belong to the user.
TUNABLE = frozenset({
    "encoder.token_budget", "encoder.dtype", "encoder.attention", "encoder.threads", "encoder.engine",
    "encoder.requests",
    "pipeline.workers", "pipeline.slots", "pipeline.vector_slots", "pipeline.batching", "pipeline.batch_rows",
    "source.unit_rows",
})
#: Keys that change numbers, so that the vectors are checked.
NUMERIC = frozenset({"encoder.dtype", "encoder.attention", "encoder.engine"})
#: A change must bring this factor to be kept.
_BETTER = 1.015
_AT_ONCE = 3


@dataclass(frozen=True, slots=True)
class Space:
    """What may be tried: values of each key that this machine, engine and model allow."""

    cores: int
    dtypes: tuple[str, ...] = ()
    attentions: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    least_budget: int = 1024
    most_budget: int = 65_536


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial: what differs from the starting profile, what came of it, and vectors against fp32 if checked."""

    settings: Settings
    outcome: Outcome
    seconds: float
    cosine: float | None = None

    @property
    def rate(self) -> float:
        return self.outcome.tokens_per_second


RunTrial = Callable[[Profile, float], Outcome]
Check = Callable[[Profile], float | None]
Tell = Callable[[str], None]


@dataclass
class Tuner:
    """Finds settings for a profile.

    Args:
        profile: where to start. space: what may be tried.
        run: carries out a trial of so many seconds. check: mean cosine of a profile's vectors to fp32, None
            when there is nothing to compare (a simulated device).
        floor: the least cosine. trials: at most so many. seconds: of a short trial.
    """

    profile: Profile
    space: Space
    run: RunTrial
    check: Check
    floor: float = 0.999
    trials: int = 16
    seconds: float = 4.0
    tell: Tell = lambda _: None
    history: list[Tried] = field(default_factory=list)
    best: Tried | None = None
    _known: dict[tuple[tuple[str, Value], ...], Tried] = field(default_factory=dict)

    def tune(self) -> Tried:
        """Search until nothing that could help is left, or the trials are used up. Returns the best.

        May be interrupted (KeyboardInterrupt) at any time; `best` then holds the best so far.
        """
        self.best = self._try({}, self.seconds)
        while self.left > 0:
            moves = [move for move in self._moves(self.best) if self._key(move) not in self._known]
            if not moves:
                break
            self._step(moves[:_AT_ONCE])
        return self.best

    @property
    def left(self) -> int:
        return self.trials - len(self.history)

    def _step(self, moves: Sequence[Settings]) -> None:
        """Try changes, the verdict's own first; one that clearly pays ends the step: something else binds then.

        Of those that nearly pay the best gets a longer trial.
        """
        assert self.best is not None
        close: list[Tried] = []
        for move in moves:
            if self.left <= 0:
                return
            tried = self._try(move, self.seconds)
            if tried.rate >= _BETTER * self.best.rate:
                self.best = tried
                return
            if tried.rate > self.best.rate:
                close.append(tried)
        if close and self.left > 0:
            longer = self._try(max(close, key=lambda t: t.rate).settings, 2.0 * self.seconds, again=True)
            if longer.rate > self.best.rate:
                self.best = longer

    def _try(self, settings: Settings, seconds: float, *, again: bool = False) -> Tried:
        key = self._key(settings)
        if key in self._known and not again:
            return self._known[key]
        profile = with_settings(self.profile, settings)
        cosine, refusal = self._checked(profile) if NUMERIC & set(settings) else (None, "")
        if refusal:
            refused = Outcome(0.0, Verdict(Limit.UNKNOWN, headline=refusal), refusal)
            self.tell(f"{_shown(settings)}: {refusal}")
            self._known[key] = Tried(settings, refused, 0.0, cosine)
            return self._known[key]
        self.tell(f"trial {len(self.history) + 1} of at most {self.trials}: {_shown(settings)}")
        tried = Tried(settings, self.run(profile, seconds), seconds, cosine)
        self.history.append(tried)
        self._known[key] = tried
        why = tried.outcome.failure or tried.outcome.verdict.headline
        self.tell(f"  {tried.rate:,.0f} tokens/s. {why}")
        return tried

    def _checked(self, profile: Profile) -> tuple[float | None, str]:
        """(mean cosine to fp32, why these settings are out of the question or "")."""
        try:
            cosine = self.check(profile)
        except WorkbenchError as error:  # this model or processor does not have it, or not enough memory for it
            return None, str(error)
        low = cosine is not None and cosine < self.floor
        return cosine, f"cosine to fp32 {cosine:.5f} is below {self.floor:g}" if low else ""

    def _key(self, settings: Settings) -> tuple[tuple[str, Value], ...]:
        values = flat(with_settings(self.profile, settings))
        return tuple(sorted((key, values[key]) for key in TUNABLE))

    def _moves(self, best: Tried) -> list[Settings]:
        """Changes that could move what binds in `best`, the most promising first."""
        now: dict[str, Value] = {**flat(self.profile), **best.settings}
        verdict = best.outcome.verdict
        found: list[tuple[str, Value]] = []
        change = verdict.change
        if change is not None and change.key in TUNABLE:
            budget = change.key == "encoder.token_budget"
            value = min(int(change.value), self.space.most_budget) if budget else change.value
            found.append((change.key, value))
        found += self._by_limit(verdict.limit, now, best)
        moves = [{**best.settings, key: value} for key, value in found if now.get(key) != value]
        return [move for i, move in enumerate(moves) if move not in moves[:i]]

    def _by_limit(self, limit: Limit, now: Settings, best: Tried) -> list[tuple[str, Value]]:
        workers = _as_int(now, "pipeline.workers", 0) or 1
        if limit in (Limit.WORKERS, Limit.TOKENISE, Limit.OVERSUBSCRIBED, Limit.READ):
            around, most = [workers + 1, workers - 1], min(self.space.cores, MOST_WORKERS)
            return [("pipeline.workers", n) for n in around if 1 <= n <= most]
        if limit is Limit.RING:
            return [(key, min(1024, 4 * _as_int(now, key, 4))) for key in ("pipeline.slots", "pipeline.vector_slots")]
        if limit in (Limit.COMPUTE, Limit.LAUNCH, Limit.PADDING, Limit.MEMORY):
            return self._for_device(limit, now)
        return []

    def _for_device(self, limit: Limit, now: Settings) -> list[tuple[str, Value]]:
        found: list[tuple[str, Value]] = []
        if limit is Limit.COMPUTE:
            found += [("encoder.dtype", dtype) for dtype in self.space.dtypes]
        budget = _as_int(now, "encoder.token_budget", 0) or 8192
        sizes = [budget // 2] if limit is Limit.MEMORY else [2 * budget, budget // 2]
        found += [
            ("encoder.token_budget", n) for n in sizes if self.space.least_budget <= n <= self.space.most_budget
        ]
        if limit is Limit.COMPUTE and self.space.dtypes:
            found += [("encoder.engine", engine) for engine in self.space.engines]
            found += [("encoder.attention", kind) for kind in self.space.attentions]
            found += [("encoder.threads", n) for n in (self.space.cores, self.space.cores - 1) if n >= 1]
        return found


def with_settings(profile: Profile, settings: Settings) -> Profile:
    """The profile with some keys changed. Raises UsageError for a key or value that is not allowed."""
    return apply_overrides(profile, [f"{key}={value}" for key, value in settings.items()])


def _as_int(values: Settings, key: str, default: int) -> int:
    value = values.get(key, default)
    return int(value) if isinstance(value, (int, float)) else default


def _shown(settings: Settings) -> str:
    return ", ".join(f"{key}={value}" for key, value in settings.items()) or "the profile as it is"
