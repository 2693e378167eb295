"""Attention masks of transformers' models without a look at their values, for which the host would wait for the card.

For every batch transformers asks the device whether anything is padded, to leave the mask out if not. The answer
comes only when the batches queued before are done, so that the card stands still while the next kernels are queued.
Here a mask is handed over only where it is needed.
"""

from __future__ import annotations

from typing import Any

#: Name of PyTorch's attention with these masks in transformers' registry.
NAME = "sdpa_quiet"


def use(model: Any) -> None:
    """Make a transformers model that computes PyTorch's attention take its masks as they are given."""
    if model.config._attn_implementation != "sdpa":
        return
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    AttentionInterface.register(NAME, sdpa_attention_forward)
    AttentionMaskInterface.register(NAME, _mask)
    model.set_attn_implementation(NAME)


def _mask(*args: Any, **options: Any) -> Any:
    """transformers' `sdpa_mask`, told whether the mask may be left out."""
    from transformers.masking_utils import causal_mask_function, sdpa_mask

    if options.get("attention_mask") is not None:
        backwards = options.get("mask_function") is causal_mask_function and options.get("local_size") is None
        if backwards and options.get("allow_is_causal_skip"):
            options["attention_mask"] = None  # no token looks at what stands behind it, and padding stands there
        else:
            options["allow_is_causal_skip"] = options["allow_is_bidirectional_skip"] = False
    return sdpa_mask(*args, **options)
