"""Model folders shared by the tests of this folder; made once, each a few hundred kilobytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import tiny_models


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Caches of these tests stay out of the user's own."""
    patch = pytest.MonkeyPatch()
    patch.setenv("WORKBENCH_HOME", str(tmp_path_factory.mktemp("home")))
    patch.delenv("WORKBENCH_DEFAULT_MODEL", raising=False)
    patch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`model("bert", pooling="cls")` → folder; equal requests share one."""
    made: dict[str, Path] = {}

    def make(family: str, **options: object) -> Path:
        key = f"{family} {sorted(options.items())}"
        if key not in made:
            folder = tmp_path_factory.mktemp("model") / family
            made[key] = getattr(tiny_models, f"tiny_{family}")(folder, **options)
        return made[key]

    return make
