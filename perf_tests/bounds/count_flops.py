"""Counts FLOPs with PyTorch and writes flops_truth.csv: python -m perf_tests.bounds.count_flops

The model's own code runs on the meta device (shapes, no weights, no GPU) under
FlopCounterMode: 2 FLOPs a multiply-add, no causal halving, no norms, rotary
embedding or softmax. The committed file was made with torch 2.13.0 and
transformers 5.23.0; it should not change with either.
"""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analytic import find_config

MODEL = "mistral-7b-v0.1"
TRUTH = Path(__file__).with_name("flops_truth.csv")
FIELDS = ("batch", "new_tokens", "context_len", "logits", "flops")

# Each point in the order of FIELDS, less the last.
POINTS = (
    *((1, n, 0, logits) for n in (128, 512, 2048) for logits in ("last", "all")),
    *((1, 1, cached, "last") for cached in (128, 512, 2048)),
    *((batch, 512, 0, "last") for batch in (4, 8, 16)),
    *((batch, 1, 512, "last") for batch in (4, 8, 16)),
    (1, 128, 512, "last"),  # the second chunk of a prefill
    (1, 8192, 0, "last"),  # past the sliding window of 4096
    (1, 1, 8192, "last"),
)


def build(config: Mapping[str, Any]) -> Any:
    """The model of a config.json, on the meta device."""
    import torch
    import transformers

    with torch.device("meta"):
        return transformers.MistralForCausalLM._from_config(
            transformers.MistralConfig(**config), attn_implementation="eager", dtype=torch.float16
        ).eval()


def count(model: Any, *, batch: int, new_tokens: int, context_len: int, logits: str) -> int:
    """FLOPs of one forward pass of `model` on a cache of `context_len` tokens."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import DynamicCache

    def tokens(n: int) -> torch.Tensor:
        return torch.zeros(batch, n, dtype=torch.long, device="meta")

    cache = DynamicCache(config=model.config)
    with torch.no_grad():
        if context_len:
            model(tokens(context_len), past_key_values=cache, logits_to_keep=1)
        with FlopCounterMode(display=False) as counter:
            model(tokens(new_tokens), past_key_values=cache, logits_to_keep=1 if logits == "last" else 0)
    return counter.get_total_flops()


def main() -> None:
    model = build(json.loads(find_config(MODEL).read_text(encoding="utf-8")))
    with TRUTH.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        for batch, new_tokens, context_len, logits in POINTS:
            flops = count(model, batch=batch, new_tokens=new_tokens, context_len=context_len, logits=logits)
            writer.writerow((batch, new_tokens, context_len, logits, flops))


if __name__ == "__main__":
    main()
