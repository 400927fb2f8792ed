"""Ranges around the modules of real transformers models of every family, on a CPU."""

import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from analytic import ModelSpec, find_gpu, find_precision, read_config
from analytic.eager.model import eager_tape
from analytic.passes import Pass
from perf_tests.module_ranges import DEQUANTISE, OTHER, RANGE_PREFIX, kernel_operator, module_ranges
from perf_tests.selftests.tiny import Later

torch = Later("torch")
transformers = Later("transformers")

_MOE = {"num_experts_per_tok": 2, "moe_intermediate_size": 24, "num_experts": 4, "n_routed_experts": 4}
_LATENT = {"kv_lora_rank": 16, "q_lora_rank": 24, "v_head_dim": 16, "qk_nope_head_dim": 16}
FAMILIES: Mapping[str, Mapping[str, Any]] = {
    "mistral": {},
    "llama": {},
    "qwen2": {},
    "qwen3": {"head_dim": 16},
    "gemma2": {"head_dim": 16},
    "phi3": {},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen3_moe": _MOE | {"head_dim": 16},
    "gpt2": {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 128},
    "opt": {"ffn_dim": 112, "max_position_embeddings": 128, "word_embed_proj_dim": 32},
    "gpt_neox": {},
    "falcon": {"new_decoder_architecture": True, "num_kv_heads": 2},
    "deepseek_v2": _MOE
    | _LATENT
    | {"qk_rope_head_dim": 8, "first_k_dense_replace": 1, "n_shared_experts": 1, "num_key_value_heads": 4},
}
TOKENS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    model: Any
    spec: ModelSpec


@cache
def built(family: str) -> Built:
    config = {
        "hidden_size": 64,
        "intermediate_size": 112,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 300,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "tie_word_embeddings": False,
    } | FAMILIES[family]
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(
        transformers.AutoConfig.for_model(family, **config),
        attn_implementation="eager" if family == "gemma2" else "sdpa",
        dtype=torch.float32,
    ).eval()
    return Built(model=model, spec=read_config({"model_type": family, **config}, name=family, source="test"))


def inputs(model: Any) -> dict[str, Any]:
    past = transformers.DynamicCache(config=model.config)
    return {"input_ids": torch.arange(TOKENS)[None] + 3, "past_key_values": past}


def forward(model: Any, given: dict[str, Any] | None = None) -> Any:
    with torch.inference_mode():
        return model(**(given or inputs(model)), use_cache=True, logits_to_keep=1).logits


def profiling() -> Any:
    return torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU])


def profiled(family: str) -> dict[str, list[str]]:
    """The ATen calls of a pass by the innermost operator's range around each."""
    one = built(family)
    given = inputs(one.model)
    with profiling() as profiler, module_ranges(one.model, one.spec):
        forward(one.model, given)
    events = sorted(profiler.profiler.kineto_results.events(), key=lambda e: (e.start_ns(), -e.duration_ns()))
    found: dict[str, list[str]] = defaultdict(list)
    around: list[tuple[int, str]] = []
    for event in events:
        while around and around[-1][0] <= event.start_ns():
            around.pop()
        if event.name().startswith(RANGE_PREFIX):
            around.append((event.start_ns() + event.duration_ns(), event.name().removeprefix(RANGE_PREFIX)))
            found[around[-1][1]] = found[around[-1][1]]  # seen, though nothing may lie in it
        elif event.name().startswith("aten::"):
            found[around[-1][1] if around else ""].append(event.name())
    return found


def tape_operators(spec: ModelSpec) -> dict[str, int]:
    """The launches of the analytic tape of the same pass, by operator."""
    tape = eager_tape(
        spec, Pass(batch=1, new_tokens=TOKENS, context_len=0), find_precision("fp32"), find_gpu("h100-sxm")
    )
    launches: dict[str, int] = defaultdict(int)
    for kernel in tape.kernels:
        launches[kernel.operator] += kernel.times
    return launches


@pytest.mark.parametrize("family", FAMILIES)
class TestFamilies:
    def test_operators_are_those_of_the_tape(self, family: str) -> None:
        """So that a bound stands beside each; and none but the model's own is missed."""
        found = set(profiled(family))

        expected = set(tape_operators(built(family).spec))
        assert found - {OTHER} == expected
        assert "" not in found  # nothing is launched outside of all ranges

    def test_every_linear_multiplies_in_its_own_range(self, family: str) -> None:
        """As often as there are such modules, and no product lies anywhere else but
        in attention, experts and router."""
        found, spec = profiled(family), built(family).spec

        linears: dict[str, int] = defaultdict(int)
        for stack in spec.stacks:
            for linear in stack.layer.linears:
                linears[linear.name] += stack.count
        for linear in (*spec.projections, spec.head):
            linears[linear.name] += 1
        products = {
            name: sum(call in ("aten::mm", "aten::addmm") for call in calls) for name, calls in found.items()
        }
        assert {name: products[name] for name in linears} == linears
        others = {name for name, count in products.items() if count} - set(linears)
        assert others <= {"attention", "rope", "router", "experts"}

    def test_the_parts_of_attention_are_told_apart(self, family: str) -> None:
        found, spec = profiled(family), built(family).spec

        layers = spec.n_layers
        assert found["cache"].count("aten::cat") == 2 * layers
        scored = "aten::_softmax" if family == "gemma2" else "aten::scaled_dot_product_attention"
        assert found["attention"].count(scored) == layers
        assert ("rope" in found) == bool(spec.attention.rotary)
        assert "aten::add" in found["residual"]

    def test_the_pass_computes_the_same_and_nothing_stays_behind(self, family: str) -> None:
        one = built(family)
        before, logits = state(one.model), forward(one.model)
        with module_ranges(one.model, one.spec):
            assert state(one.model) != before
            again = forward(one.model)

        assert torch.equal(again, logits)
        assert state(one.model) == before

    def test_nor_where_the_pass_fails(self, family: str) -> None:
        """The ranges that were open are closed with their modules, not later."""
        one = built(family)
        before = state(one.model)
        failing = one.model.get_output_embeddings()
        handle = failing.register_forward_hook(fail)
        with profiling() as profiler, module_ranges(one.model, one.spec):
            with pytest.raises(ZeroDivisionError):
                forward(one.model)
            with torch.profiler.record_function("after"):
                torch.ones(1)
        handle.remove()

        assert state(one.model) == before
        spans = {e.name(): (e.start_ns(), e.start_ns() + e.duration_ns()) for e in ranges(profiler)}
        assert all(end <= spans["after"][0] for name, (_, end) in spans.items() if RANGE_PREFIX in name)


def test_capped_logits_are_the_heads_and_masks_are_nobodys() -> None:
    """Gemma 2 does both in its model's own forward."""
    found = profiled("gemma2")

    assert found["lm_head"].count("aten::tanh") == 1
    assert "aten::arange" not in found["lm_head"]
    assert "aten::arange" in found[OTHER]


def fail(*_: object) -> None:
    raise ZeroDivisionError


def ranges(profiler: Any) -> list[Any]:
    return [e for e in profiler.profiler.kineto_results.events() if e.is_user_annotation()]


def state(model: Any) -> tuple[object, ...]:
    """All that the ranges change: hooks and functions."""
    files = {type(m).__module__ for m in model.modules()}
    rotations = ("apply_rotary_pos_emb", "apply_rotary_emb")
    return (
        tuple(
            (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._forward_hooks_always_called))
            for m in model.modules()
        ),
        transformers.Cache.update,
        tuple(getattr(sys.modules[f], name, None) for f in sorted(files) for name in rotations),
    )


@pytest.mark.parametrize(
    ("name", "operator"),
    [
        ("void kDequantizeBlockwise<__half, 512, 64, 8, 2>(float*, unsigned char*, …)", DEQUANTISE),
        ("void kdequant_mm_int32_fp16<4, 512>(int*, float*, float*, __half*, …)", DEQUANTISE),
        ("dequant_4bit_kernel", DEQUANTISE),
        # Fused ones multiply as well; and what packs an activation unpacks nothing.
        ("void gemm_4bit_simt<__half, 1>(__half const*, unsigned char const*, …)", "q_proj"),
        ("void kgemm_4bit_inference_naive<__half, 128, 16>(int, int, int, …)", "q_proj"),
        ("void kInt8VectorQuant<__half, 1024, 0>(__half*, signed char*, …)", "q_proj"),
        ("nvjet_sm90_hsh_64x8_64x16_4x1_v_bz_splitK_TNT", "q_proj"),
    ],
)
def test_unpacking_is_an_operator_of_its_own(name: str, operator: str) -> None:
    assert kernel_operator("q_proj", name) == operator
