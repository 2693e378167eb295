"""Asks this machine. Every question that cannot be answered here gives None, never a guess."""

from __future__ import annotations

import ctypes
import importlib.metadata
import json
import locale
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile

import psutil

from workbench.core import paths
from workbench.core.child_process import NOT_FROM_HERE
from workbench.core.torch_wheel import find_card
from workbench.doctor.facts import Facts, PackageVersion, TorchReport

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: The parts of the VC++ runtime that torch's libraries load.
RUNTIME_LIBRARIES = ("msvcp140.dll", "vcruntime140.dll", "vcruntime140_1.dll", "vcruntime140_threads.dll")
TORCH_SECONDS = 120
#: Runs in a process of its own, for this one never imports torch.
TORCH_QUESTIONS = NOT_FROM_HERE + """
import json, time
start = time.perf_counter()
import torch
seconds = time.perf_counter() - start
device, name, bf16 = "cpu", "", False
if torch.cuda.is_available():
    device, name, bf16 = "cuda", torch.cuda.get_device_name(0), torch.cuda.is_bf16_supported(including_emulation=False)
elif torch.backends.mps.is_available():
    device = "mps"
else:
    # oneDNN also says yes where it only emulates (AVX-512 without BF16), so the instructions are asked for
    tests = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    bf16 = any(test() for test in tests if test)
print(json.dumps({"version": torch.__version__, "cuda_build": torch.version.cuda, "device": device,
                  "device_name": name, "bf16": bool(bf16), "seconds": seconds}))
"""


def gather() -> Facts:
    """Ask everything; takes about as long as importing torch."""
    data = paths.user_data()
    memory = psutil.virtual_memory()
    return Facts(
        system=sys.platform,
        python=sys.version_info[:3],
        bits=64 if sys.maxsize > 2**32 else 32,
        executable=sys.executable,
        cores=psutil.cpu_count(logical=False) or os.cpu_count() or 1,
        memory=int(memory.total),
        memory_free=int(memory.available),
        torch=torch_report([sys.executable, "-c", TORCH_QUESTIONS]),
        card=find_card(),
        hidden=os.environ.get("CUDA_VISIBLE_DEVICES"),
        missing_runtime=missing_runtime(),
        commit_free=commit_free(),
        long_paths=long_paths(),
        encoding=locale.getpreferredencoding(False),
        data=data,
        data_free=free_space(data),
        data_writable=is_writable(data),
        shm_free=free_space(Path("/dev/shm")) if sys.platform == "linux" else None,
        packages=package_versions(),
    )


def torch_report(command: list[str]) -> TorchReport:
    """Run the questions in a process and read its answer; a process that fails becomes a report with the reason."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TORCH_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        return TorchReport(None, str(error))
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    try:
        return TorchReport(**json.loads(lines[-1]))
    except (IndexError, ValueError, TypeError):
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return TorchReport(None, said[-1] if said else f"the process ended with code {done.returncode}")


def package_versions() -> tuple[PackageVersion, ...] | None:
    """The packages this program asks for; None when it runs from neither the repository nor an installation."""
    try:
        from packaging.requirements import Requirement
    except ModuleNotFoundError:
        return (PackageVersion("packaging", None, None),)
    root = paths.repository()
    wanted: list[str]
    tested: dict[str, str] = {}
    if root is not None:
        with (root / "pyproject.toml").open("rb") as file:
            wanted = tomllib.load(file)["project"]["dependencies"]
        tested = _tested(root / ".ci" / "constraints.txt")
    else:
        try:
            wanted = importlib.metadata.requires("embedding-workbench") or []
        except importlib.metadata.PackageNotFoundError:
            return None
    needed = [item for item in map(Requirement, wanted) if item.marker is None or item.marker.evaluate({"extra": ""})]
    return tuple(PackageVersion(item.name, tested.get(item.name), _installed(item.name)) for item in needed)


def _tested(file: Path) -> dict[str, str]:
    from packaging.requirements import Requirement

    if not file.is_file():
        return {}
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    pins = [item for item in map(Requirement, lines) if item.marker is None or item.marker.evaluate()]
    return {item.name: str(item.specifier).removeprefix("==") for item in pins}


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _existing(folder: Path) -> Path:
    return next((place for place in (folder, *folder.parents) if place.is_dir()), folder)


def free_space(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(_existing(folder)).free
    except OSError:
        return None


def is_writable(folder: Path) -> bool:
    """A file can be made there, or in the nearest folder above that exists."""
    try:
        with TemporaryFile(dir=_existing(folder)):
            return True
    except OSError:
        return False


def missing_runtime() -> tuple[str, ...] | None:
    if sys.platform != "win32":
        return None
    # the fourth exists for x64 only
    names = RUNTIME_LIBRARIES if platform.machine().lower() == "amd64" else RUNTIME_LIBRARIES[:2]
    missing = []
    for name in names:
        try:
            ctypes.WinDLL(name)
        except OSError:
            missing.append(name)
    return tuple(missing)


def commit_free() -> int | None:
    """Bytes that may still be committed (GlobalMemoryStatusEx, ullAvailPageFile)."""
    if sys.platform != "win32":
        return None

    class Status(ctypes.Structure):
        _fields_ = [("size", ctypes.c_ulong), ("load", ctypes.c_ulong)] + [
            (name, ctypes.c_ulonglong) for name in ("total", "free", "page_total", "page_free", "v", "vf", "x")
        ]

    status = Status()
    status.size = ctypes.sizeof(Status)
    if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return int(status.page_free)


def long_paths() -> bool | None:
    if sys.platform != "win32":
        return None
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem") as key:
            return bool(winreg.QueryValueEx(key, "LongPathsEnabled")[0])
    except OSError:
        return False
