"""Each check on machines made up here: the Windows ones too, wherever the tests run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from workbench.core.torch_wheel import Card
from workbench.doctor.checks import GB, VC_RUNTIME, Finding, examine
from workbench.doctor.facts import Facts, PackageVersion, TorchReport

CARD = Card("NVIDIA RTX 4090", "580.88", (13, 0), (8, 9))
CUDA_TORCH = TorchReport("2.13.0+cu130", "", "13.0", "cuda", "NVIDIA RTX 4090", True, 1.5)
LINUX = Facts(
    system="linux", python=(3, 12, 4), bits=64, executable="/x/python", cores=8, memory=32 * GB, memory_free=20 * GB,
    torch=CUDA_TORCH, card=CARD, hidden=None, missing_runtime=None, commit_free=None, long_paths=None,
    encoding="UTF-8", data=Path("data"), data_free=100 * GB, data_writable=True, shm_free=16 * GB,
    packages=(PackageVersion("numpy", "2.4.6", "2.4.6"), PackageVersion("torch", "2.13.0", "2.13.0+cu130")),
)
WINDOWS = replace(
    LINUX, system="win32", encoding="cp1252", missing_runtime=(), commit_free=20 * GB, long_paths=True, shm_free=None
)


def finding(facts: Facts, name: str) -> Finding:
    (found,) = [item for item in examine(facts) if item.name == name]
    return found


def test_good_machines_have_nothing_to_complain_about() -> None:
    assert {item.level for item in examine(LINUX) + examine(WINDOWS)} == {"ok"}
    names = {item.name for item in examine(WINDOWS)} - {item.name for item in examine(LINUX)}
    assert names == {"VC++ runtime", "page file", "long paths"}


@pytest.mark.parametrize(
    ("facts", "name", "level", "text", "remedy"),
    [
        (replace(LINUX, python=(3, 9, 1)), "Python", "problem", "3.9.1", "python.org"),
        (replace(LINUX, bits=32), "Python", "problem", "32 bit", "python.org"),
        (replace(LINUX, packages=(PackageVersion("numpy", "1.0", None),)), "packages", "problem", "numpy", "run.sh"),
        (replace(LINUX, packages=(PackageVersion("x", "1", "2"),)), "packages", "warning", "x 2 (tested: 1)", ".venv"),
        (replace(LINUX, torch=TorchReport(None, "odd")), "torch", "problem", "odd", ".venv"),
        (replace(WINDOWS, missing_runtime=("msvcp140.dll",)), "VC++ runtime", "problem", "msvcp140.dll", VC_RUNTIME),
        (replace(WINDOWS, torch=TorchReport(None, "[WinError 126] c10.dll")), "torch", "problem", "126", VC_RUNTIME),
        (replace(WINDOWS, torch=TorchReport(None, "[WinError 1455] x")), "torch", "problem", "1455", "page file"),
        (replace(WINDOWS, commit_free=2 * GB), "page file", "problem", "2.0 GB", "page file"),
        (replace(WINDOWS, commit_free=6 * GB), "page file", "warning", "6.0 GB", "page file"),
        (replace(WINDOWS, long_paths=False), "long paths", "warning", "260", "LongPathsEnabled"),
        (replace(WINDOWS, encoding="cp437"), "console", "ok", "Unicode, whatever the code page", ""),
        (replace(LINUX, encoding="ANSI_X3.4-1968"), "console", "warning", "ANSI", "LANG"),
        (replace(LINUX, data_writable=False), "disk", "problem", "data", "WORKBENCH_HOME"),
        (replace(LINUX, data_free=GB // 2), "disk", "problem", "0.5 GB", "WORKBENCH_HOME"),
        (replace(LINUX, data_free=5 * GB), "disk", "warning", "5.0 GB", "chunks"),
        (replace(LINUX, data_free=None), "disk", "warning", "unknown", "drive"),
        (replace(LINUX, shm_free=GB // 32), "shared memory", "problem", "/dev/shm", "--shm-size"),
        (replace(LINUX, shm_free=GB // 8), "shared memory", "warning", "/dev/shm", "--shm-size"),
        (replace(LINUX, memory_free=GB), "machine", "warning", "1.0 of 32.0 GB", "Close"),
        (replace(LINUX, card=None), "NVIDIA card", "warning", "nvidia-smi", "driver"),
    ],
)
def test_what_is_wrong_is_said_with_a_remedy(facts: Facts, name: str, level: str, text: str, remedy: str) -> None:
    found = finding(facts, name)
    assert found.level == level
    assert text in found.text and remedy in found.remedy


@pytest.mark.parametrize(
    ("card", "torch", "hidden", "level", "text", "remedy"),
    [
        (CARD, TorchReport("2.13.0+cpu"), None, "problem", "is a CPU build", "cu130"),
        (replace(CARD, capability=(6, 1)), TorchReport("2.13.0"), None, "problem", "is a CPU build", "cu126"),
        (replace(CARD, cuda=(12, 6)), TorchReport("2.13.0", cuda_build="13.0"), None, "problem", "cannot use", "cu126"),
        (replace(CARD, cuda=(11, 4)), TorchReport("2.13.0", cuda_build="13.0"), None, "problem", "cannot", "newer"),
        (CARD, TorchReport("2.13.0", cuda_build="13.0"), "", "warning", "hidden", "Unset"),
        (CARD, TorchReport(None, "odd"), None, "ok", "RTX 4090", ""),
        (None, TorchReport("2.13.0+cpu"), None, "ok", "none seen", ""),
    ],
)
def test_a_card_that_torch_does_not_see(
    card: Card | None, torch: TorchReport, hidden: str | None, level: str, text: str, remedy: str
) -> None:
    found = finding(replace(LINUX, card=card, torch=torch, hidden=hidden), "NVIDIA card")
    assert found.level == level
    assert text in found.text and remedy in found.remedy
