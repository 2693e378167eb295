"""`workbench doctor` on the machine the tests run on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.cli.doctor import lines
from workbench.core import paths
from workbench.doctor.checks import Finding
from workbench.doctor.gather import TORCH_QUESTIONS, free_space, is_writable, package_versions, torch_report


def test_this_machine_without_importing_torch(tmp_path: Path) -> None:
    code = "import sys; from workbench.cli.main import main\ncode = main(['doctor', '--json'])\n"
    code += "assert not {'torch', 'faiss', 'transformers', 'textual'} & set(sys.modules)\nsys.exit(code)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    report = json.loads(done.stdout)
    assert done.stderr == ""
    levels = [finding["level"] for finding in report["findings"]]
    assert (report["problems"], report["warnings"]) == (levels.count("problem"), levels.count("warning"))
    assert done.returncode == (1 if report["problems"] else 0)
    found = {finding["name"]: finding for finding in report["findings"]}
    assert {"Python", "packages", "torch", "NVIDIA card", "console", "disk", "machine"} <= set(found)
    assert found["Python"]["level"] == "ok" and sys.executable in found["Python"]["text"]
    assert found["torch"]["level"] == "ok", "the tests need torch"
    assert all(bool(finding["remedy"]) == (finding["level"] != "ok") for finding in report["findings"])


def test_a_torch_that_does_not_load_becomes_a_report() -> None:
    broken = "raise OSError('[WinError 126] c10.dll')\n" + TORCH_QUESTIONS
    assert torch_report([sys.executable, "-c", broken]).error == "OSError: [WinError 126] c10.dll"
    assert torch_report([sys.executable, "-c", "import sys; sys.exit(3)"]).error == "the process ended with code 3"
    assert torch_report([sys.executable + "-missing"]).version is None


def test_files_in_the_current_folder_are_not_taken_for_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("json", "torch"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken from the user')\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    report = torch_report([sys.executable, "-c", TORCH_QUESTIONS])
    assert (report.version is not None, report.error) == (True, "")


def test_packages_are_compared_with_the_tested_versions() -> None:
    versions = {item.name: item for item in package_versions() or ()}
    assert {"torch", "pyarrow", "faiss-cpu"} <= set(versions)
    assert versions["pyarrow"].installed == __import__("pyarrow").__version__
    assert versions["torch"].tested is not None


def test_disk_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_writable(tmp_path / "not" / "yet")
    assert not (tmp_path / "not").exists()
    assert (free_space(tmp_path / "not" / "yet") or 0) > 0
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path))
    assert paths.user_data() == tmp_path


def test_the_remedy_stands_below_its_line() -> None:
    first, second = lines(Finding("disk", "warning", "5 GB free", "Free some"))
    assert first.startswith("warning  disk") and second.strip() == "→ Free some"
    assert second.index("→") == first.index("5 GB")
