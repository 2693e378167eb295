"""The device's own rate of matrix products, measured: the ceiling that model FLOP utilisation is a share of."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from workbench.core.paths import user_cache

#: (outputs, inputs) of the matrices of a small encoder; used when a model's own shapes are not given.
COMMON_SHAPES = ((384, 384), (1536, 384), (384, 1536), (768, 768), (3072, 768))
_ROWS = {"cpu": 1024, "cuda": 16384, "mps": 8192}
_SECONDS = 0.01
_MEASURED = 5


def matrix_rate(
    device: str, dtype: str, shapes: Sequence[tuple[int, int]] = COMMON_SHAPES, *, rows: int = 0,
    cached: bool = True,
) -> float:
    """Floating point operations per second of `rows × inputs` by `inputs × outputs` products.

    Args:
        device: `cpu`, `cuda:0`, `mps`.
        dtype: `fp32`, `fp16`, `bf16` or (on the CPU) `int8`.
        shapes: (outputs, inputs) of the matrices; the rate is total operations over total time.
        rows: tokens of a product; 0 = enough to saturate the device.
        cached: keep the figure for this machine and torch. The first few calls measure again and the highest
            figure is kept, since a busy machine only ever makes it too low; later calls take it as it is.
    """
    import torch

    kind = device.split(":")[0]
    rows = rows or _ROWS.get(kind, 4096)
    distinct = sorted(set(shapes))
    threads = torch.get_num_threads() if kind == "cpu" else 0
    key = f"{_machine(device)}|{torch.__version__}|{threads}|{dtype}|{rows}|{distinct}"
    weights = {shape: shapes.count(shape) for shape in distinct}
    known = _read().get(key, [0.0, 0]) if cached else [0.0, 0]
    rate, times = float(known[0]), int(known[1])
    if times < _MEASURED:
        rate = max(rate, _measure(device, dtype, weights, rows))
        if cached:
            _keep(key, [rate, times + 1])
    return rate


def _measure(device: str, dtype: str, shapes: dict[tuple[int, int], int], rows: int) -> float:
    import torch

    operations, seconds = 0.0, 0.0
    with torch.inference_mode():
        for (outputs, inputs), count in shapes.items():
            layer, x = _product(device, dtype, outputs, inputs, rows)
            operations += count * 2.0 * rows * inputs * outputs
            seconds += count * _seconds(layer, x, device)
    return operations / seconds


def _product(device: str, dtype: str, outputs: int, inputs: int, rows: int) -> tuple[Any, Any]:
    """A linear layer and what goes in, as the encoder computes them on that device."""
    import torch

    layer: Any = torch.nn.Linear(inputs, outputs)
    if dtype == "int8":
        from workbench.encoders.int8_bert import carrier
        from workbench.encoders.int8_linear import Int8Linear, Scale

        small = Int8Linear(layer.weight, layer.bias, Scale(0.02, 128), carrier())
        return small, torch.randint(0, 256, (rows, inputs), dtype=torch.uint8)
    kind = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[dtype]
    layer = layer.to(device=device, dtype=kind)
    if device == "cpu":
        from workbench.encoders.cpu_linear import PackedLinear

        layer = PackedLinear(layer.weight, layer.bias)
    return layer, torch.randn(rows, inputs, device=device).to(kind)


def _seconds(layer: Any, x: Any, device: str) -> float:
    """The fastest of several timings: other work on the machine only ever makes one slower."""
    for _ in range(2):
        layer(x)
    _wait(device)
    best, spent = float("inf"), 0.0
    while spent < _SECONDS:
        began = perf_counter()
        repeats = 1 if device == "cpu" else 10
        for _ in range(repeats):
            layer(x)
        _wait(device)
        took = perf_counter() - began
        best, spent = min(best, took / repeats), spent + took
    return best


def _wait(device: str) -> None:
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    elif device == "mps":
        torch.mps.synchronize()


def _machine(device: str) -> str:
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} {platform.processor()} {os.cpu_count()} {torch.backends.cpu.get_cpu_capability()}"


def _store() -> Path:
    return user_cache() / "matrix_rate.json"


def _read() -> dict[str, list[float]]:
    try:
        content = json.loads(_store().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    good = isinstance(content, dict) and all(isinstance(v, list) and len(v) == 2 for v in content.values())
    return content if good else {}


def _keep(key: str, entry: list[float]) -> None:
    """A cache that cannot be written costs a fraction of a second at the next start, nothing more."""
    staged = _store().with_name(f"matrix_rate.json.{os.getpid()}")
    try:
        staged.parent.mkdir(parents=True, exist_ok=True)
        staged.write_text(json.dumps({**_read(), key: entry}), encoding="utf-8", newline="\n")
        staged.replace(_store())
    except OSError:
        staged.unlink(missing_ok=True)
