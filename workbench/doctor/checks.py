"""Each check judges one thing: a function of `Facts` that returns a finding, or None where it does not apply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from workbench.core.torch_wheel import fitting_builds
from workbench.doctor.facts import Facts

GB = 1_000_000_000
VC_RUNTIME = "https://aka.ms/vs/17/release/vc_redist.x64.exe"
AGAIN = "delete the folder .venv and start run.sh or run.bat with network"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor. `level` is ok, warning or problem; `remedy` says what to do, "" when ok."""

    name: str
    level: str
    text: str
    remedy: str = ""


def python(facts: Facts) -> Finding:
    version = ".".join(map(str, facts.python))
    if facts.python < (3, 10) or facts.bits != 64:
        text = f"{version}, {facts.bits} bit; 64-bit Python 3.10 or newer is needed"
        return Finding("Python", "problem", text, "Install it from python.org, delete .venv and start again")
    return Finding("Python", "ok", f"{version}, {facts.bits} bit, {facts.executable}")


def packages(facts: Facts) -> Finding | None:
    if facts.packages is None:
        return None
    missing = [item.name for item in facts.packages if item.installed is None]
    if missing:
        return Finding("packages", "problem", f"missing: {', '.join(missing)}", "Start with run.sh or run.bat")
    other = [
        f"{item.name} {item.installed} (tested: {item.tested})"
        for item in facts.packages
        if item.tested is not None and item.installed is not None and item.installed.partition("+")[0] != item.tested
    ]
    if other:
        remedy = f"If something fails: {AGAIN}, which installs the tested versions"
        return Finding("packages", "warning", f"other versions than tested: {', '.join(other)}", remedy)
    return Finding("packages", "ok", f"{len(facts.packages)} packages in the versions that were tested")


def torch(facts: Facts) -> Finding:
    report = facts.torch
    if report.version is None:
        return Finding("torch", "problem", f"cannot be imported: {report.error}", _torch_remedy(facts))
    speed = "bf16 in hardware" if report.bf16 else "no bf16 in hardware"
    name = f"{report.device} ({report.device_name})" if report.device_name else report.device
    return Finding("torch", "ok", f"{report.version} on {name}, {speed}, imported in {report.seconds:.1f} s")


def _torch_remedy(facts: Facts) -> str:
    error = facts.torch.error
    if facts.missing_runtime or "WinError 126" in error or "c10.dll" in error:
        return f"Install the VC++ runtime: {VC_RUNTIME}"
    if "1455" in error:
        return "Enlarge the page file (Windows: System > Advanced > Performance > Virtual memory)"
    return f"To install it again: {AGAIN}"


def card(facts: Facts) -> Finding:
    found, report = facts.card, facts.torch
    if found is None:
        if report.device == "cuda":
            return Finding("NVIDIA card", "warning", "torch sees a card, nvidia-smi does not run", "Check the driver")
        return Finding("NVIDIA card", "ok", "none seen by a driver")
    driver = f"{found.name}, driver {found.driver}"
    if found.cuda is not None:
        driver += f" (CUDA {found.cuda[0]}.{found.cuda[1]})"
    if report.version is None or report.device == "cuda":
        return Finding("NVIDIA card", "ok", driver)
    if facts.hidden is not None and facts.hidden.strip() in ("", "-1"):
        text = f"{driver}, hidden from torch by CUDA_VISIBLE_DEVICES={facts.hidden!r}"
        return Finding("NVIDIA card", "warning", text, "Unset CUDA_VISIBLE_DEVICES")
    if report.cuda_build is None:
        text = f"{driver}, but torch {report.version} is a CPU build"
        return Finding("NVIDIA card", "problem", text, _card_remedy(facts))
    text = f"{driver}, but torch {report.version} (CUDA {report.cuda_build}) cannot use it"
    return Finding("NVIDIA card", "problem", text, _card_remedy(facts))


def _card_remedy(facts: Facts) -> str:
    builds = fitting_builds(facts.card) if facts.card is not None else []
    if not builds:
        return "Install a newer driver: https://www.nvidia.com/drivers"
    return f"To take PyTorch's {builds[0].name} wheel: {AGAIN}"


def runtime(facts: Facts) -> Finding | None:
    if facts.missing_runtime is None:
        return None
    if facts.missing_runtime:
        text = f"does not load: {', '.join(facts.missing_runtime)}; torch needs it"
        return Finding("VC++ runtime", "problem", text, f"Install {VC_RUNTIME}")
    return Finding("VC++ runtime", "ok", "there")


def page_file(facts: Facts) -> Finding | None:
    if facts.commit_free is None:
        return None
    text = f"{facts.commit_free / GB:.1f} GB can still be committed"
    if facts.commit_free < 4 * GB:
        remedy = "Close programs, or enlarge the page file (System > Advanced > Performance > Virtual memory)"
        return Finding("page file", "problem", f"{text}; loading torch and a model may fail (WinError 1455)", remedy)
    if facts.commit_free < 8 * GB:
        return Finding("page file", "warning", text, "For large models let Windows manage the page file's size")
    return Finding("page file", "ok", text)


def long_paths(facts: Facts) -> Finding | None:
    if facts.long_paths is None:
        return None
    if facts.long_paths:
        return Finding("long paths", "ok", "allowed")
    remedy = "Keep folders short, or set LongPathsEnabled to 1 (HKLM\\SYSTEM\\CurrentControlSet\\Control\\FileSystem)"
    return Finding("long paths", "warning", "paths beyond 260 characters are refused", remedy)


def console(facts: Facts) -> Finding:
    if facts.system == "win32":
        return Finding("console", "ok", "Unicode, whatever the code page")  # Python writes to it by WriteConsoleW
    plain = facts.encoding.lower().replace("-", "").replace("_", "")
    if plain == "utf8":
        return Finding("console", "ok", f"encoding {facts.encoding}")
    text = f"encoding {facts.encoding}; letters outside it may look wrong (files are UTF-8 all the same)"
    return Finding("console", "warning", text, "Set LANG=C.UTF-8")


def disk(facts: Facts) -> Finding:
    place = str(facts.data)
    if not facts.data_writable:
        return Finding("disk", "problem", f"{place} cannot be written to", "Set WORKBENCH_HOME to another folder")
    if facts.data_free is None:
        return Finding("disk", "warning", f"free space at {place} is unknown", "Check the drive")
    text = f"{facts.data_free / GB:.1f} GB free at {place}"
    if facts.data_free < GB:
        return Finding("disk", "problem", text, "Free some space, or set WORKBENCH_HOME to a folder on another drive")
    if facts.data_free < 10 * GB:
        return Finding("disk", "warning", text, "A million chunks take about 2 to 4 GB")
    return Finding("disk", "ok", text)


def shared_memory(facts: Facts) -> Finding | None:
    if facts.shm_free is None:
        return None
    text = f"{facts.shm_free / GB:.2f} GB free in /dev/shm"
    if facts.shm_free < GB // 16:
        return Finding("shared memory", "problem", text, "In a container: start it with --shm-size=1g")
    if facts.shm_free < GB // 4:
        remedy = "In a container: start it with --shm-size=1g, or lower pipeline.slots"
        return Finding("shared memory", "warning", text, remedy)
    return Finding("shared memory", "ok", text)


def memory(facts: Facts) -> Finding:
    text = f"{facts.cores} cores, {facts.memory_free / GB:.1f} of {facts.memory / GB:.1f} GB memory free"
    if facts.memory_free < 2 * GB:
        return Finding("machine", "warning", text, "Close programs; torch and a small model take about 1.5 GB")
    return Finding("machine", "ok", text)


CHECKS: tuple[Callable[[Facts], Finding | None], ...] = (
    python,
    packages,
    torch,
    card,
    runtime,
    page_file,
    long_paths,
    console,
    disk,
    shared_memory,
    memory,
)


def examine(facts: Facts) -> list[Finding]:
    """All findings that apply to this machine, in a fixed order."""
    return [finding for check in CHECKS if (finding := check(facts)) is not None]
