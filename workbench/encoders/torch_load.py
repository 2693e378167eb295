"""Loading a Hugging Face model for the torch encoder: device, number format, weights, clear errors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from workbench.core.errors import DeviceMemoryError, UsageError
from workbench.encoders.base import EncoderSpec
from workbench.encoders.st_files import DenseLayer, read_st_files

#: bf16 is taken on a CPU whose matrix products are at least this much faster in it.
_WORTH = 1.2


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to compute.

    Attributes:
        model: transformers model in eval mode on its device.
        pad: token id for padding.
    """

    model: Any
    pad: int


def choose_device(name: str) -> torch.device:
    """The device a profile names; `auto`: CUDA, Apple's MPS, else CPU. Raises UsageError when it is not there."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda:0")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError("is no device", where=f"encoder.device = {name}",
                         remedy="Allowed: auto, cpu, cuda, cuda:1, mps") from error
    if device.type == "cuda":
        cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= cards:
            raise UsageError(f"PyTorch sees {cards} CUDA card(s)", where=f"encoder.device = {name}",
                             remedy="Run `doctor`, or set encoder.device=auto")
        return torch.device("cuda", device.index or 0)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("PyTorch sees no Apple GPU", where=f"encoder.device = {name}",
                         remedy="Set encoder.device=auto")
    if device.type not in ("cpu", "mps"):
        raise UsageError("is not supported", where=f"encoder.device = {name}",
                         remedy="Allowed: auto, cpu, cuda, cuda:1, mps")
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """Number format of the computation; `auto`: bf16 on CUDA cards that have it, else fp16; MPS fp16;
    CPU bf16 where it has instructions for it and they are faster here, else fp32; int8 only when it is named.

    Raises:
        UsageError: int8 where it cannot be computed.
    """
    if name == "int8":
        return _int8_on(device)
    named = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    if name in named:
        return named[name]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device)[0] >= 8 else torch.float16
    if device.type == "mps":
        return torch.float16
    return torch.bfloat16 if _bf16_pays() else torch.float32


def dtype_name(dtype: torch.dtype) -> str:
    """`fp32`, `fp16`, `bf16` or `int8`."""
    names = {"torch.float32": "fp32", "torch.float16": "fp16", "torch.bfloat16": "bf16", "torch.int8": "int8"}
    return names[str(dtype)]


def model_folder(spec: EncoderSpec) -> Path:
    """The folder with config.json and weights."""
    folder = Path(spec.model.folder)
    return folder / read_st_files(folder).transformer


def load_after(spec: EncoderSpec, device: torch.device) -> nn.Module | None:
    """The linear layers after the pooling, on the device in float32; None when there are none.

    Raises:
        UsageError: their weights are missing or do not fit. DeviceMemoryError: the device has no room for them.
    """
    layers = read_st_files(Path(spec.model.folder)).dense
    after = nn.Sequential(*[_Dense(layer) for layer in layers]) if layers else None
    with room_on(device):
        return after.to(device).eval().requires_grad_(False) if after is not None else None


def load(spec: EncoderSpec, device: torch.device, dtype: torch.dtype) -> Loaded:
    """Load a model onto the device with transformers.

    Raises:
        UsageError: the folder holds no model that transformers can load, or weights are missing.
        DeviceMemoryError: the device has no room for it.
    """
    _silence()
    model = _model(model_folder(spec), spec, dtype)
    with room_on(device):
        model = model.to(device).eval().requires_grad_(False)
    if getattr(model, "pooler", None) is not None:
        model.pooler = None  # its output is never used
    config = getattr(model.config, "text_config", None) or model.config
    return Loaded(model, int(getattr(config, "pad_token_id", None) or 0))


@contextmanager
def room_on(device: torch.device) -> Iterator[None]:
    """Turn the device's lack of memory for a model into DeviceMemoryError."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceMemoryError(
            "the device has no room for the model", where=str(device), remedy="Set encoder.dtype=fp16 or another device"
        ) from error


def _model(folder: Path, spec: EncoderSpec, dtype: torch.dtype) -> Any:
    from transformers import AutoModel

    options: dict[str, Any] = {"dtype": dtype, "local_files_only": True, "trust_remote_code": False,
                               "output_loading_info": True}
    if spec.attention != "auto":
        options["attn_implementation"] = spec.attention
    try:
        model, info = AutoModel.from_pretrained(str(folder), **options)
    except Exception as error:
        raise _explained(error, folder, spec) from error
    missing = [name for name in info["missing_keys"] if "pooler" not in name and "position_ids" not in name]
    if missing:
        raise UsageError(f"{len(missing)} weights are missing, such as {missing[0]}", where=str(folder),
                         remedy="Fetch the model anew; it may be of another kind than its config.json says")
    if getattr(model.config, "is_encoder_decoder", False):
        raise UsageError("encoder-decoder models are not supported", where=str(folder),
                         remedy="Choose an encoder or a decoder model")
    return model


def _explained(error: Exception, folder: Path, spec: EncoderSpec) -> UsageError:
    text = " ".join(str(error).split())
    if "trust_remote_code" in text or "execute the" in text:
        return UsageError("the model brings its own program code, which is never run", where=spec.model.name,
                          remedy="Choose a model of a family that transformers knows")
    if "attn_implementation" in text or "scaled_dot_product_attention" in text:
        return UsageError(f"the model has no attention of kind {spec.attention}", where=spec.model.name,
                          remedy="Set encoder.attention=auto")
    return UsageError(f"the model cannot be loaded ({type(error).__name__}: {text[:300]})", where=str(folder),
                      remedy="Fetch the model anew, or choose another")


class _Dense(nn.Module):
    """A linear layer after the pooling with its activation."""

    def __init__(self, layer: DenseLayer) -> None:
        super().__init__()
        self.linear = nn.Linear(layer.inputs, layer.outputs, bias=layer.bias)
        self.activation: nn.Module = getattr(nn, layer.activation)()
        self.residual = layer.residual
        try:
            self.load_state_dict({name: value.float() for name, value in _dense_weights(Path(layer.folder)).items()})
        except RuntimeError as error:
            raise UsageError(f"does not fit its config.json ({error})", where=layer.folder,
                             remedy="Fetch the model anew") from error

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """float32 [rows, inputs] → [rows, outputs]."""
        out: torch.Tensor = self.activation(self.linear(x))
        return x + out if self.residual else out


def _dense_weights(folder: Path) -> dict[str, Any]:
    if (folder / "model.safetensors").is_file():
        from safetensors.torch import load_file

        return dict(load_file(str(folder / "model.safetensors")))
    if (folder / "pytorch_model.bin").is_file():
        return dict(torch.load(folder / "pytorch_model.bin", map_location="cpu", weights_only=True))
    raise UsageError("the linear layer has no weights", where=str(folder), remedy="Fetch the model anew")


def _bf16_pays() -> bool:
    from workbench.encoders.matrix_rate import matrix_rate

    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    return matrix_rate("cpu", "bf16") >= _WORTH * matrix_rate("cpu", "fp32")


def _int8_on(device: torch.device) -> torch.dtype:
    from workbench.encoders import int8_linear

    if device.type != "cpu":
        raise UsageError("int8 is computed on the CPU only", where=f"encoder.dtype = int8 on {device}",
                         remedy="Set encoder.dtype=auto, or encoder.device=cpu")
    if not int8_linear.available():
        raise UsageError("this processor or this build of PyTorch has no fast 8-bit products (AVX-512 VNNI)",
                         where="encoder.dtype = int8",
                         remedy="Set encoder.dtype=auto; what was embedded in int8 has to be embedded again")
    return torch.int8


def _silence() -> None:
    """No progress bars and no warnings (the network is never asked: everything is loaded from a folder)."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
