"""A precision in the words of torch and transformers."""

from typing import Any

from analytic import Precision


def torch_dtype(name: str) -> Any:
    import torch

    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[name]


def quantisation(precision: Precision) -> Any:
    """The BitsAndBytesConfig for a precision; None for an unquantised one."""
    if not precision.quantised:
        return None
    from transformers import BitsAndBytesConfig

    if precision.name == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    # Both defaults of transformers are wrong here: fp4, and products in fp32.
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch_dtype(precision.compute),
        bnb_4bit_use_double_quant=precision.name == "nf4-dq",
    )
