"""Matrix products of 8-bit integers on the CPU through oneDNN, twice as fast as bf16 where the processor has VNNI.

Weights are int8 with one scale per output (symmetric); inputs are uint8 with scales fixed beforehand, so that a
row's vector never depends on the rows beside it. Sums are exact (int32). The operators are those that
torch.compile's own CPU code calls (torch/_inductor/mkldnn_ir.py). Signed inputs are never used: oneDNN computes
those thousands of times slower on AVX-512.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from workbench.encoders.cpu_linear import FUSED

#: Value of uint8 that stands for zero where both signs are equally likely.
MIDDLE = 128
_TOP = 127


@dataclass(frozen=True, slots=True)
class Scale:
    """uint8 value q stands for (q − zero) · step."""

    step: float
    zero: int


@cache
def available() -> bool:
    """Whether this processor and this build of PyTorch compute 8-bit products, exactly, in hardware.

    Processors without VNNI add pairs of products in 16 bits, which overflows; so the largest values are tried.
    """
    named = hasattr(torch.ops.onednn, "qlinear_pointwise") and hasattr(torch.ops.onednn, "qlinear_prepack")
    if not named or not torch.backends.mkldnn.is_available() or not _has_vnni():  # type: ignore[no-untyped-call]
        return False
    weight = torch.full((16, 64), 1.0)
    weight[::2] = -1.0
    inputs = torch.full((16, 64), 255, dtype=torch.uint8)
    found = Int8Linear(weight, torch.zeros(16), Scale(1.0, 0), torch.float32)(inputs)
    return bool(torch.allclose(found, inputs.float() @ weight.t(), rtol=1e-5))


def _has_vnni() -> bool:
    asked = getattr(torch.cpu, "_is_vnni_supported", None) or getattr(torch.cpu, "_is_avx512_vnni_supported", None)
    return bool(asked and asked())


class Int8Linear(nn.Module):
    """y = act(x Wᵀ + b) with W and x in 8 bits.

    Args:
        weight: float32 [outputs, inputs]. bias: float32 [outputs].
        taken: what a value of the input stands for.
        gives: number format of the result, or the scale of a uint8 result, which the next product takes.
        act: as in `PackedLinear`.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor, taken: Scale, gives: torch.dtype | Scale, act: str = "none"
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = weight.shape[1], weight.shape[0]
        scales = weight.abs().amax(dim=1).clamp_(min=1e-12) / _TOP
        rounded = (weight / scales[:, None]).round_().clamp_(-_TOP, _TOP).to(torch.int8)
        self._weight = torch.ops.onednn.qlinear_prepack(rounded, None)
        self._scales, self._zeros = scales, torch.zeros(len(scales), dtype=torch.int64)
        self._bias = bias
        self._taken, self._act = taken, act
        self._dtype = torch.uint8 if isinstance(gives, Scale) else gives
        self._gives = gives if isinstance(gives, Scale) else Scale(1.0, 0)

    def forward(self, x: Tensor) -> Tensor:
        """uint8 [rows, inputs] → [rows, outputs]."""
        post, algorithm = FUSED[self._act]
        out: Tensor = torch.ops.onednn.qlinear_pointwise(
            x, self._taken.step, self._taken.zero, self._weight, self._scales, self._zeros, self._bias,
            self._gives.step, self._gives.zero, self._dtype, post, [], algorithm,
        )
        return out

    def plus(self, x: Tensor, other: Tensor) -> Tensor:
        """x Wᵀ + b + other, written into `other` (of the number format that this product gives)."""
        out: Tensor = torch.ops.onednn.qlinear_pointwise.binary(
            x, self._taken.step, self._taken.zero, self._weight, self._scales, self._zeros, other, self._bias,
            1.0, 0, self._dtype, 1.0, 0, "sum", 1.0, "none", [], "",
        )
        return out


class ScaledLinear:
    """An `Int8Linear` for inputs of the usual number formats, each input with a step of its own.

    The steps are put into the weights, so that they cost nothing in the product (as SmoothQuant does,
    arXiv 2211.10438): a few inputs that are far larger than the others do not coarsen all.

    Args:
        weight: float32 [outputs, inputs]. bias: float32 [outputs].
        largest: float32 [inputs], the largest absolute value to expect of each input; larger ones are cut.
        gives, act: as in `Int8Linear`.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor, largest: Tensor, gives: torch.dtype | Scale, act: str = "none"
    ) -> None:
        steps = steps_for(weight, largest)
        self._inverse = 1.0 / steps
        self._product = Int8Linear(weight * steps, bias, Scale(1.0, MIDDLE), gives, act)

    def __call__(self, x: Tensor) -> Tensor:
        """[rows, inputs] → [rows, outputs]."""
        out: Tensor = self._product(self._rounded(x))
        return out

    def plus(self, x: Tensor, other: Tensor) -> Tensor:
        """x Wᵀ + b + other, written into `other`."""
        return self._product.plus(self._rounded(x), other)

    def _rounded(self, x: Tensor) -> Tensor:
        # In place: a second large intermediate result would be asked for from the system at each call.
        scaled = x.to(torch.float32, copy=True).mul_(self._inverse)
        signed = scaled.round_().clamp_(-_TOP, _TOP).to(torch.int8)
        return signed.view(torch.uint8).bitwise_xor_(MIDDLE)  # the same as adding 128


def steps_for(weight: Tensor, largest: Tensor) -> Tensor:
    """float32 [inputs]: what one unit of each input stands for.

    Between one step for all (which is best for the weights) and each input using all 8 bits (best for the inputs):
    step ∝ √(largest input / largest weight), the middle that SmoothQuant takes; no input is cut by it.
    """
    inputs = largest.clamp(min=1e-6)
    shape = (inputs / weight.abs().amax(dim=0).clamp(min=1e-6)).sqrt()
    return shape * (inputs / shape).max() / _TOP


def scale_for(least: float, most: float) -> Scale:
    """The scale of uint8 values between two ends, one of them at most 0, the other at least 0."""
    step = max(most - least, 1e-6) / 255
    return Scale(step, min(max(round(-least / step), 0), 255))
