"""One reader per model_type: a config.json's fields to a ModelSpec.

What a config leaves out gets the default that transformers' config class gives
it; where that class has none that fits every model, the field must be there.
Shapes were read from transformers 5.23's modelling files and are proven equal
to its meta-device models by perf_tests/bounds/flops_truth.csv.
"""

from collections.abc import Callable, Mapping

from analytic.families import gemma, gpt, llama, moe
from analytic.fields import Fields
from analytic.models import ModelSpec

Reader = Callable[[Fields, str], ModelSpec]

FAMILIES: Mapping[str, Reader] = {
    "mistral": llama.mistral,
    "llama": llama.llama,
    "qwen2": llama.qwen2,
    "qwen3": llama.qwen3,
    "phi3": llama.phi3,
    "gemma2": gemma.gemma2,
    "mixtral": moe.mixtral,
    "qwen3_moe": moe.qwen3_moe,
    "deepseek_v2": moe.deepseek_v2,
    "gpt2": gpt.gpt2,
    "opt": gpt.opt,
    "gpt_neox": gpt.gpt_neox,
    "falcon": gpt.falcon,
}
