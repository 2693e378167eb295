"""Changes on the encoder's side are suggested where they can change anything: rows and units bound batches too."""

from dataclasses import replace

import pytest

from tests.diagnose.scripted import A, Cost, World, facts, play
from workbench.diagnose.limits import Limit, Verdict
from workbench.diagnose.verdict import diagnose, summary_lines

LAUNCHES = World(launch=0.005, batch=2000, budget=16384)
#: Copies and hand-overs keep the host busy longer than the card computes.
HOST = World(engine="torch", device="cuda:0", batch=6000, encoder={A.FORWARD: Cost(0.0, 1e-6), A.ASSEMBLE: Cost(2e-6)})


def verdict(world: World) -> Verdict:
    return diagnose(facts(world), play(world))


@pytest.mark.parametrize(("row", "dim"), [
    (1.0, 384),  # 2,000 tokens are 1,960 rows of 2,048
    (4.0, 8192),  # long vectors: 488 rows at most
])
def test_a_larger_budget_is_no_help_to_batches_that_are_full_of_rows(row, dim):
    full = replace(LAUNCHES, row=row, settings={"encoder.dim": dim})
    found = verdict(full)
    assert found.change is None, "\n".join(summary_lines(found))
    with_room = verdict(replace(full, row=10 * row))
    assert with_room.limit is Limit.LAUNCH and with_room.change is not None
    assert with_room.change.key == "encoder.token_budget"


def test_a_larger_budget_goes_as_far_as_the_rows_do():
    found = verdict(replace(LAUNCHES, row=3.0))  # room for three times as many rows
    after = replace(LAUNCHES, row=3.0, batch=int(2048 * 3.0 * 1.02)).throughput()
    assert found.change is not None and found.change.key == "encoder.token_budget"
    assert found.predicted_tokens_per_second == pytest.approx(after, rel=0.1)


def test_a_busy_host_is_told_of_batches_that_cannot_grow():
    found = verdict(replace(HOST, row=3.0))
    assert found.limit is Limit.LAUNCH and found.stage == "encoder:host"
    assert found.change is None and not found.healthy
    assert any("no budget makes them larger" in line for line in found.evidence)
    assert verdict(HOST).change is not None


def test_units_grow_only_where_rows_bound_them():
    bound = World(padded=1.2, settings={"source.unit_rows": 4000})  # such units have 4,000 rows
    found = verdict(bound)
    assert found.limit is Limit.PADDING and found.change is not None
    assert (found.change.key, found.change.value) == ("source.unit_rows", 16000)
    assert verdict(replace(bound, settings={"source.unit_rows": 8192})).change is None
