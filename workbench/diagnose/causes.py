"""From the binding resource to its cause: one rule per resource, in the order in which they hide one another."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from workbench.core.activity import Activity
from workbench.core.profile import MOST_WORKERS
from workbench.diagnose import device
from workbench.diagnose.bounds import Demand, Model
from workbench.diagnose.evidence import Evidence
from workbench.diagnose.finding import WORTH, Finding, Settings
from workbench.diagnose.limits import Change, Limit

#: Below this share of the expected throughput nobody is the bottleneck: the stages wait for each other.
_UNEXPLAINED = 0.88
#: Share of the time that counts as waiting.
_WAITS = 0.07
#: Bounds within this factor of the lowest cannot be told apart by their size.
_NEAR = 1.12
#: Share of the CPU time saved when no more compute than there are cores, per one too many on each core (measured
#: by benchmarks/diagnosis.py): workers, who push one another out of the caches; threads of an encoder.
_CROWDED_WORKERS = 0.04
_CROWDED_THREADS = 0.05
_MOST_CROWDING = 0.5
#: Wall ÷ CPU time of pure computing above which others visibly take cores from the run.
_SLOWED = 1.1
_TEXT = (Activity.SLICE, Activity.TOKENISE, Activity.PACK)


def find(settings: Settings, evidence: Evidence, model: Model) -> Finding:
    """The cause that binds."""
    too_wide = model.on_cpu and model.threads > model.cores
    found = None if too_wide else _foreign(evidence, model)  # threads of our own come first
    found = found or _oversubscribed(settings, evidence, model)
    if found is not None:
        return found
    stage = _of_stage(settings, evidence, model)
    ring = _ring(settings, evidence, model)
    if ring is None:
        return stage
    gain = 0.0 if stage.after is None else stage.after.expected() * evidence.tokens_per_second / model.expected()
    return stage if gain > model.expected() else ring


def _of_stage(settings: Settings, evidence: Evidence, model: Model) -> Finding:
    """The cause inside the stage that binds."""
    name = _binding(evidence, model)
    if name == "worker":
        return _worker(settings, evidence, model)
    if name == "writer":
        return _writer(settings, model)
    return device.find(settings, evidence, model, parent_binds=name == "parent")


def _binding(evidence: Evidence, model: Model) -> str:
    """The stage that binds: of those whose bounds are nearly the lowest, the one that is busy all the time.

    Bounds carry errors of some percent (other programs give way when the run wants a core); saturation does not.
    """
    bounds = model.bounds()
    low = min(bounds.values())
    busy = {
        "worker": evidence.worker.busy_share(), "encoder": evidence.encoder.busy_share(),
        "writer": evidence.writer.busy_share(),
        "parent": (evidence.parent_cpu or 0.0) / evidence.seconds if evidence.seconds else 0.0,
    }
    near = {
        _heaviest_on_cpu(model) if name == "cpu" else name for name, bound in bounds.items() if bound <= _NEAR * low
    }
    return max(near, key=lambda name: busy[name])


def _heaviest_on_cpu(model: Model) -> str:
    """All cores are busy: the stage that most of their time goes to."""
    use = {
        "worker": model.worker.cpu, "encoder": model.encoder.cpu, "writer": model.writer.cpu,
        "parent": model.parent_cpu,
    }
    return max(use, key=lambda one: use[one])


def _foreign(evidence: Evidence, model: Model) -> Finding | None:
    if model.foreign < max(0.2, 0.08 * model.cores):
        return None
    if (evidence.cpu_system or 0.0) < 0.85 * model.cores:
        return None  # cores are free: whatever else runs takes nothing away
    if model.slow < _SLOWED:
        return None  # the run gets a core whenever it wants one: what else runs gives way
    after = replace(model, foreign=0.0, slow=1.0)
    if after.expected() < WORTH * max(model.expected(), evidence.tokens_per_second):
        return None
    who = ", ".join(f"{one.name} (pid {one.pid}, {one.cores:.1f} cores)" for one in evidence.foreign)
    text = "end or postpone the other programs" + (f": {who}" if who else "")
    return Finding(Limit.FOREIGN, "machine", Change(text), after, full=True)


def _oversubscribed(settings: Settings, evidence: Evidence, model: Model) -> Finding | None:
    """More threads want a core than there are, and they wait for one another's."""
    stages = (evidence.worker, evidence.writer)
    wanted = sum(use.busy_share() * use.servers for use in stages)
    too_wide = model.on_cpu and model.threads > model.cores
    wanted += evidence.encoder.busy_share() * (model.threads if model.on_cpu else 0.0)
    if too_wide and evidence.encoder.busy_share() > 0.5:
        cores = int(model.cores)
        crowd = 1.0 + _CROWDED_THREADS * (model.threads / model.cores - 1.0)
        after = replace(model, threads=float(cores), encoder=_relieved(model.encoder, crowd))
        change = Change(
            f"let the encoder compute with {cores} threads", "encoder.threads", cores,
            int(settings.get("encoder.threads", 0)),
        )
        return Finding(Limit.OVERSUBSCRIBED, "encoder:forward", change, after)
    if wanted < 1.3 * model.spare or model.slow < 1.3 or model.worker.servers < 2:
        return None
    fewer = max(1, ceil(model.worker.seconds * min(model.bounds()["cpu"], model.encoder.bound) - 0.2))
    if fewer >= model.worker.servers:
        return None
    crowd = 1.0 + min(_MOST_CROWDING, _CROWDED_WORKERS * (model.worker.servers / model.cores - 1.0))
    relieved = replace(_relieved(model.worker, max(1.0, crowd)), servers=fewer)
    return Finding(
        Limit.OVERSUBSCRIBED, "worker:" + _weightiest(model.worker), _workers(model, fewer),
        replace(model, worker=relieved),
    )


def _relieved(stage: Demand, factor: float) -> Demand:
    """A stage whose threads no longer push one another out of the caches."""
    parts = {activity: seconds / factor for activity, seconds in stage.parts.items()}
    return replace(stage, parts=parts, cpu=stage.cpu / factor)


def _ring(settings: Settings, evidence: Evidence, model: Model) -> Finding | None:
    """Both ends of a ring wait in turn although nothing is busy all the time: bursts are not smoothed out."""
    if evidence.tokens_per_second >= _UNEXPLAINED * model.expected():
        return None
    worker, encoder, writer = evidence.worker, evidence.encoder, evidence.writer
    front = min(worker.share(Activity.WAIT_OUTPUT), encoder.share(Activity.WAIT_INPUT))
    back = min(encoder.share(Activity.WAIT_OUTPUT), writer.share(Activity.WAIT_INPUT))
    if max(front, back) < _WAITS:
        return None
    key, least = ("pipeline.slots", 8) if front >= back else ("pipeline.vector_slots", 4)
    now = int(settings.get(key, 1))
    value = min(1024, max(least, 4 * now))
    what = "batches" if front >= back else "batches of vectors"
    change = Change(f"let {value} {what} wait instead of {now}", key, value, now)
    return Finding(Limit.RING, "worker" if front >= back else "encoder", change, model, full=True)


def _worker(settings: Settings, evidence: Evidence, model: Model) -> Finding:
    stage = model.worker
    weight = "worker:" + _weightiest(stage)
    waiting = stage.blocked.get(Activity.READ, 0.0) / stage.seconds if stage.seconds else 0.0
    if waiting >= 0.4:
        return _read(settings, model)
    if stage.blocked.get(Activity.WRITE, 0.0) >= 0.4 * stage.seconds > 0.0:
        text = "put the collection on a faster disk: the workers wait for it"
        after = replace(model, worker=stage.without_blocking(Activity.WRITE))
        return Finding(Limit.WRITE, "worker:write", Change(text), after)
    more = _enough_workers(model)
    if more > stage.servers:
        after = replace(model, worker=_staffed(model, more))
        if after.expected() >= WORTH * model.expected():
            return Finding(Limit.WORKERS, weight, _workers(model, more), after)
    limit = Limit.READ if stage.part(Activity.READ) > stage.part(*_TEXT) else Limit.TOKENISE
    return Finding(limit, weight)


def _enough_workers(model: Model) -> int:
    """The number of workers that is no limit any more, but no more than the cores can run."""
    bounds = model.bounds()
    others = min(bounds["encoder"], bounds["writer"], bounds["cpu"], bounds["parent"])
    if others == float("inf"):
        return model.worker.servers
    most = min(int(model.cores), MOST_WORKERS)
    return next((count for count in range(1, most) if _staffed(model, count).bound >= 1.05 * others), most)


def _staffed(model: Model, count: int) -> Demand:
    """The workers' stage with `count` of them: where some must share a core, all together do less each."""
    stage, hardware = model.worker, model.hardware
    slower = hardware.speed(stage.servers) / hardware.speed(count)
    parts = {a: (b := stage.blocked.get(a, 0.0)) + slower * (s - b) for a, s in stage.parts.items()}
    return replace(stage, servers=count, parts=parts)


def _workers(model: Model, count: int) -> Change:
    now = model.worker.servers
    verb = "more" if count > now else "fewer"
    return Change(f"{verb} workers: {now} → {count}", "pipeline.workers", count, now)


def _read(settings: Settings, model: Model) -> Finding:
    after = replace(model, worker=model.worker.without_blocking(Activity.READ))
    key = "source.read_bytes_per_second"
    limit = int(settings.get(key, 0))
    if limit:
        change = Change(f"lift the read limit of {limit:,} bytes/s", key, 0, limit)
    else:
        change = Change("put the input on a faster disk, or copy it to a local one first")
    return Finding(Limit.READ, "worker:read", change, after)


def _writer(settings: Settings, model: Model) -> Finding:
    stage = model.writer
    if stage.part(Activity.INDEX) > 0.5:
        after = replace(model, writer=stage.scaled(Activity.INDEX, 0.0))
        change = Change("build no index during the run", "index.kind", "none")
        return Finding(Limit.INDEX, "writer:index", change, after)
    weight = "writer:" + _weightiest(stage)
    key = "pipeline.write_bytes_per_second"
    limit = int(settings.get(key, 0))
    free = stage.without_blocking(Activity.WRITE).without_blocking(Activity.COMMIT)
    if limit:
        return Finding(
            Limit.WRITE, weight, Change(f"lift the write limit of {limit:,} bytes/s", key, 0, limit),
            replace(model, writer=free),
        )
    if settings.get("collection.vectors") == "float32":
        half = stage.scaled(Activity.COMMIT, 0.5).scaled(Activity.WRITE, 0.5)
        change = Change("store vectors as float16: half the bytes", "collection.vectors", "float16", "float32")
        return Finding(Limit.WRITE, weight, change, replace(model, writer=half))
    text = "put the collection on a faster disk (fsync is part of every commit)"
    return Finding(Limit.WRITE, weight, Change(text), replace(model, writer=free))


def _weightiest(stage: Demand) -> str:
    """The activity that most of a stage's demand goes to."""
    activity = stage.weightiest
    return "" if activity is None else activity.name.lower().replace("_", " ")
