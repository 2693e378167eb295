"""The torch engine: any Hugging Face encoder or decoder model, on CPU, CUDA or Apple's MPS."""

from __future__ import annotations

from typing import Any

from workbench.core.activity import Meter
from workbench.core.errors import DeviceMemoryError, UsageError
from workbench.encoders.base import EncoderInfo, EncoderSpec, Pending, TokenBatch
from workbench.encoders.torch_import import import_torch

#: Elements of a model's distinct matrices up to which their rate is measured at its own shapes.
_CHEAP = 12_000_000
#: Operations of a batch for each thread: about a second's work.
_WORK = 2e11


class TorchEncoder:
    """Computes on one device; see `Encoder`."""

    def __init__(self, spec: EncoderSpec) -> None:
        self._spec = spec
        self.depth = 1
        self._forward: Any = None

    def load(self) -> EncoderInfo:
        """Load the model. Raises UsageError or DeviceMemoryError, as `torch_load.load` says."""
        torch = import_torch()
        from workbench.encoders.matrix_rate import matrix_rate
        from workbench.encoders.torch_load import choose_device, choose_dtype, dtype_name

        if self._spec.threads:
            torch.set_num_threads(self._spec.threads)
        device = choose_device(self._spec.device)
        dtype = choose_dtype(self._spec.dtype, device)
        self._forward = _forward_for(self._spec, device, dtype)
        self.depth = self._forward.depth
        on_cpu = device.type == "cpu"
        return EncoderInfo(
            engine="torch",
            device=str(device),
            device_name=_device_name(device),
            dtype=dtype_name(dtype),
            model=self._spec.model.name,
            dim=self._spec.model.dim,
            token_budget=self._spec.token_budget or _budget(device, self._spec.model.flops_per_token[0]),
            memory_bytes=torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else None,
            notes=(*self._spec.model.notes, *self._forward.notes),
            threads=torch.get_num_threads() if on_cpu else 0,
            pads=self._forward.pads,
            matrix_flops=matrix_rate(str(device), dtype_name(dtype), _shapes(self._spec)),
            device_uuid=_device_uuid(device),
        )

    def submit(self, batch: TokenBatch, meter: Meter) -> Pending:
        """Start a batch. Raises DeviceMemoryError when it does not fit; the device is usable afterwards."""
        torch = import_torch()
        from workbench.encoders.torch_host import out_of_memory

        try:
            with torch.inference_mode():
                return self._forward.submit(batch, meter)  # type: ignore[no-any-return]
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            failure = DeviceMemoryError(f"no memory for {int(batch.lengths.sum())} tokens", where=self._spec.device)
        # Outside the except block: the failed forward's frames, and the tensors in them, are gone by now.
        self._forward.empty_cache()
        raise failure

    def close(self) -> None:
        """Give the device's memory back."""
        if self._forward is not None:
            forward, self._forward = self._forward, None
            forward.close()
            forward.empty_cache()


def _forward_for(spec: EncoderSpec, device: Any, dtype: Any) -> Any:
    if device.type == "cuda":
        from workbench.encoders.torch_cuda import CudaForward

        return CudaForward(spec, device, dtype)
    if device.type == "cpu" and spec.attention == "auto":
        lanes = _lanes(spec, device, dtype)
        if lanes is not None:
            return lanes
    if dtype == import_torch().int8:
        raise UsageError("int8 is there for BERT's family with safetensors weights and encoder.attention=auto only",
                         where=f"encoder.dtype = int8, {spec.model.name}", remedy="Set encoder.dtype=auto")
    from workbench.encoders.torch_host import HostForward

    return HostForward(spec, device, dtype)


def _lanes(spec: EncoderSpec, device: Any, dtype: Any) -> Any:
    """One thread per core for BERT's family; None for others."""
    torch = import_torch()
    from workbench.encoders import bert_weights
    from workbench.encoders.packed_bert import PackedBert
    from workbench.encoders.torch_lanes import LaneForward
    from workbench.encoders.torch_load import model_folder

    small = dtype == torch.int8
    weights = bert_weights.read(model_folder(spec), torch.float32 if small else dtype)
    if weights is None:
        return None
    if small:
        from workbench.encoders.int8_bert import int8_bert

        return LaneForward(spec, device, weights, int8_bert(weights))
    return LaneForward(spec, device, weights, PackedBert(weights))


def _shapes(spec: EncoderSpec) -> tuple[tuple[int, int], ...]:
    """Matrices to time: the model's own where that takes some hundredths of a second, else a small encoder's."""
    from workbench.encoders.fingerprint import weight_files
    from workbench.encoders.matrix_rate import COMMON_SHAPES
    from workbench.encoders.shapes import matrix_shapes
    from workbench.encoders.torch_load import model_folder

    own = tuple(matrix_shapes(weight_files(model_folder(spec))))
    return own if own and sum(a * b for a, b in set(own)) <= _CHEAP else COMMON_SHAPES


def _budget(device: Any, operations: float) -> int:
    """Tokens of a batch where the device is saturated; larger ones cost memory and bring nothing.

    On the CPU a few rows for each thread are enough, and a batch of a large model should not take many seconds:
    stopping, a lost process and the verdict all wait for it.
    """
    known = {"cuda": 32768, "mps": 16384}.get(device.type)
    if known is not None:
        return known
    threads = int(import_torch().get_num_threads())
    enough = int(_WORK * threads / max(operations, 1.0))
    return min(max(enough, 512 * threads), max(8192, 512 * threads))


def _device_uuid(device: Any) -> str:
    """CUDA counts cards in its own order, and only those that it is shown; this says which of the driver's it is."""
    if device.type != "cuda":
        return ""
    return str(import_torch().cuda.get_device_properties(device).uuid)


def _device_name(device: Any) -> str:
    torch = import_torch()
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    if device.type == "mps":
        return "Apple GPU"
    return f"CPU, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"
