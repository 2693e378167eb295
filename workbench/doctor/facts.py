"""What the doctor looks at, as plain values: a test can make up any machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workbench.core.torch_wheel import Card


@dataclass(frozen=True, slots=True)
class TorchReport:
    """What a process that imports torch says.

    Attributes:
        version: such as `2.13.0+cu130`; None when it cannot be imported.
        error: last line of what the import said, else "".
        cuda_build: CUDA version it was built for; None = CPU build.
        device: `cuda`, `mps` or `cpu`, as `auto` would choose.
        device_name: name of that device.
        bf16: the device computes bf16 in hardware.
        seconds: time to import.
    """

    version: str | None
    error: str = ""
    cuda_build: str | None = None
    device: str = "cpu"
    device_name: str = ""
    bf16: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PackageVersion:
    """A package the program needs: the version it was tested with, and the one here (None = missing)."""

    name: str
    tested: str | None
    installed: str | None


@dataclass(frozen=True, slots=True)
class Facts:
    """One machine. Sizes are bytes; None means: does not apply here, or could not be learned.

    Attributes:
        system: `sys.platform`.
        card: the NVIDIA card as its driver sees it.
        hidden: value of CUDA_VISIBLE_DEVICES, None when it is not set.
        missing_runtime: libraries of the VC++ runtime that do not load (Windows).
        commit_free: memory that processes may still commit, page file included (Windows).
        long_paths: paths beyond 260 characters are allowed (Windows).
        encoding: of text output, before the program sets it to UTF-8.
        data, data_free, data_writable: where collections go.
        shm_free: free bytes of /dev/shm (Linux).
    """

    system: str
    python: tuple[int, int, int]
    bits: int
    executable: str
    cores: int
    memory: int
    memory_free: int
    torch: TorchReport
    card: Card | None
    hidden: str | None
    missing_runtime: tuple[str, ...] | None
    commit_free: int | None
    long_paths: bool | None
    encoding: str
    data: Path
    data_free: int | None
    data_writable: bool
    shm_free: int | None
    packages: tuple[PackageVersion, ...] | None
