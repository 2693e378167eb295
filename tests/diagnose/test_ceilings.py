"""Stages really run alone, and the pipeline beside them, on a small real input."""

import json

import pytest

from tests.engine.harness import corpus, request
from workbench.core.errors import RunFailed, UsageError
from workbench.diagnose.ceilings import measure, with_pipeline, worker_rates
from workbench.diagnose.parity import Parity
from workbench.diagnose.trial import Trial, run_trial


def test_each_stage_alone(tmp_path):
    source = corpus(tmp_path / "c.jsonl", 1500)
    wanted = request(
        tmp_path, source, "encoder.tokens_per_second=40000", "encoder.token_budget=2048", "source.unit_rows=256",
        "pipeline.workers=2",
    )
    found = measure(wanted, 0.1)
    stages = {stage.name: stage for stage in found.stages}
    assert set(stages) == {"read only", "tokenise only", "workers", "encoder", "writer", "CPU cores"}
    assert all(stage.tokens_per_second > 0 for stage in found.stages)
    # The device keeps its time exactly, whatever else the machine does.
    assert stages["encoder"].tokens_per_second <= 41_000
    assert stages["workers"].processes == 2
    assert found.lowest in stages and with_pipeline(found, found.bound).efficiency == pytest.approx(1.0)
    assert not list(tmp_path.glob("*.collection"))


def test_all_devices_run_at_once(tmp_path):
    source = corpus(tmp_path / "c.jsonl", 600)
    two = ["encoder.device=auto,auto", "encoder.tokens_per_second=4000", "encoder.token_budget=512"]
    stages = {stage.name: stage for stage in measure(request(tmp_path, source, *two), 0.1).stages}
    assert stages["encoder"].processes == 2 and stages["encoder"].note.startswith("2 × simulated device")
    assert stages["encoder"].tokens_per_second <= 8200 and stages["encoder"].threads == 0


def rejected(path, count):
    """Rows without text."""
    lines = "".join(json.dumps({"id": f"bad-{number}", "text": None}) + "\n" for number in range(count))
    path.write_text(lines, encoding="utf-8", newline="\n")
    return path


def test_units_whose_rows_are_all_rejected_are_passed_over(tmp_path):
    bad = rejected(tmp_path / "bad.jsonl", 48)  # two units
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_bytes(bad.read_bytes() + corpus(tmp_path / "good.jsonl", 200).read_bytes())
    assert all(stage.tokens_per_second > 0 for stage in measure(request(tmp_path, mixed), 0.1).stages)
    with pytest.raises(UsageError, match="none of the first rows can be embedded"):
        measure(request(tmp_path, bad), 0.1)


def test_worker_rates_for_several_numbers_and_no_input(tmp_path):
    source = corpus(tmp_path / "c.jsonl", 300)
    rates = worker_rates(request(tmp_path, source), [1, 2], 0.1)
    assert [rate.processes for rate in rates] == [1, 2] and all(rate.tokens_per_second > 0 for rate in rates)
    with pytest.raises(UsageError):
        measure(request(tmp_path, tmp_path / "gone.jsonl"), 0.1)


def test_a_trial_leaves_nothing_behind_and_is_diagnosed(tmp_path):
    source = corpus(tmp_path / "c.jsonl", 4000)
    outcome = run_trial(Trial(request(tmp_path, source, "encoder.tokens_per_second=20000", into="x"), 4.0))
    assert outcome.failure == "" and outcome.verdict.decided
    assert 0 < outcome.tokens_per_second < 21_000
    assert not (tmp_path / "x").exists()


def test_a_trial_sees_what_it_does_also_where_runs_record_nothing(tmp_path):
    source = corpus(tmp_path / "c.jsonl", 400)
    made = request(tmp_path, source, "encoder.tokens_per_second=5000", "pipeline.telemetry=none")
    kept = tmp_path / "kept"
    outcome = run_trial(Trial(made, 1.0), kept)
    assert outcome.failure == "" and outcome.tokens_per_second > 0
    assert not list(kept.glob("runs/*/trace.json")) and list(kept.glob("runs/*/samples.jsonl"))


def test_a_trial_that_cannot_run_says_why(tmp_path):
    source = corpus(tmp_path / "c.jsonl", 50)
    outcome = run_trial(Trial(request(tmp_path, source, "encoder.engine=torch", "encoder.device=cuda:7"), 1.0))
    assert outcome.tokens_per_second == 0.0 and outcome.failure


def test_bf16_is_checked_against_fp32(tmp_path):
    source = corpus(tmp_path / "c.jsonl", 60)
    made = request(tmp_path, source, "encoder.engine=torch", "encoder.device=cpu", "encoder.dtype=bf16")
    parity = Parity(made, tmp_path)
    cosine = parity.cosine(made.profile)
    assert 0.99 < cosine < 1.0
    exact = request(tmp_path, source, "encoder.engine=torch", "encoder.device=cpu", "encoder.dtype=fp32")
    assert parity.cosine(exact.profile) == pytest.approx(1.0, abs=1e-5)
    assert parity.cosine(request(tmp_path, source).profile) is None


class Counted(Parity):
    """Counts what is encoded."""

    encoded = 0

    def _encode(self, profile):
        self.encoded += 1
        return super()._encode(profile)


def test_a_reference_that_cannot_be_had_is_tried_once_and_said(tmp_path):
    source = corpus(tmp_path / "c.jsonl", 60)
    parity = Counted(request(tmp_path, source), tmp_path)
    made = request(tmp_path, source, "encoder.engine=torch", "encoder.device=cuda:7", "encoder.dtype=fp16")
    for _ in range(2):
        with pytest.raises(RunFailed, match="no vectors in fp32 to compare with"):
            parity.cosine(made.profile)
    assert parity.encoded == 1
