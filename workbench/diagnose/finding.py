"""What the rules hand to the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workbench.diagnose.bounds import Model
from workbench.diagnose.limits import Change, Limit

Settings = Mapping[str, str | int | float | bool]

#: A cause is named when its change promises at least this factor.
WORTH = 1.08
#: Below this factor a change is not worth naming: runs differ by as much from one another.
LEAST_GAIN = 1.02


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause: its limit and stage, the change, the model after it, and how the prediction follows.

    `after` is None when the change cannot be predicted. `full`: the inefficiency itself is what goes away,
    so the prediction is the model's; otherwise today's ratio of measured to expected stays. `note`: one more line of
    evidence.
    """

    limit: Limit
    stage: str
    change: Change | None = None
    after: Model | None = None
    full: bool = False
    note: str = ""
