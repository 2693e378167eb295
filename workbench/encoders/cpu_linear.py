"""Matrix products on the CPU through oneDNN with the weight laid out once; PyTorch's own where there is none.

PyTorch sends float32 products to MKL, which on AMD processors runs several times slower than oneDNN, and
arranges bf16 weights anew at every call. The operators used here are those that torch.compile's own CPU code
calls (torch/_inductor/mkldnn_ir.py); they need no compiler, so they work on Windows as well.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Activation → its name and variant in oneDNN, computed while the result of a product is still in the cache.
FUSED = {"gelu": ("gelu", "none"), "gelu_tanh": ("gelu", "tanh"), "relu": ("relu", ""), "none": ("none", "")}
#: The same where nothing is fused.
PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "relu": functional.relu,
    "none": lambda x: x,
}
_DTYPES = (torch.float32, torch.bfloat16)


def available(dtype: torch.dtype) -> bool:
    """Whether this build of PyTorch has oneDNN for products of that number format on this processor."""
    if dtype not in _DTYPES or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise") or not hasattr(torch.ops.mkldnn, "_reorder_linear_weight"):
        return False
    return dtype == torch.float32 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class PackedLinear(nn.Module):
    """y = act(x Wᵀ + b) with W in oneDNN's own layout.

    Args:
        weight: [outputs, inputs], float32 or bfloat16, on the CPU.
        bias: [outputs] or None.
        act: `none`, `gelu` (exact), `gelu_tanh` or `relu`, computed while the result is still in the cache.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, act: str = "none") -> None:
        super().__init__()
        self.in_features, self.out_features = weight.shape[1], weight.shape[0]
        self._bias = bias
        self._act = act
        self._onednn = available(weight.dtype)
        weight = weight.detach().contiguous()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight, None) if self._onednn else weight

    def forward(self, x: Tensor) -> Tensor:
        """[…, inputs] → […, outputs]."""
        if self._onednn:
            attr, algorithm = FUSED[self._act]
            out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, attr, [], algorithm)
            return out
        return PLAIN[self._act](functional.linear(x, self._weight, self._bias))

    def plus(self, x: Tensor, other: Tensor) -> Tensor:
        """x Wᵀ + b + other, in one pass."""
        if self._onednn:
            out: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x, other, self._weight, self._bias, "add")
            return out
        return functional.linear(x, self._weight, self._bias) + other


def pack_linears(model: nn.Module) -> int:
    """Replace every nn.Linear of a CPU model by its packed form; returns how many."""
    replaced = 0
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Linear and available(child.weight.dtype):
                setattr(module, name, PackedLinear(child.weight, child.bias))
                replaced += 1
    return replaced
