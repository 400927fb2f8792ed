"""Errors of published models that no other test here would notice. All of them,
with their sizes: analytic/ERRORS.md."""

import pytest

from analytic import find_gpu, find_precision, load_model, pass_cost
from analytic.cost import Operator
from analytic.eager import eager_tape
from analytic.estimate import estimate
from analytic.footprint import resident_weight_bytes
from analytic.passes import Pass
from analytic.regime import pass_limits
from analytic.tape import Recording
from analytic.traffic import traffic

pytestmark = pytest.mark.analytic

MISTRAL = load_model("mistral-7b-v0.1")
FP16, NF4 = find_precision("fp16"), find_precision("nf4")
T4, H100 = find_gpu("t4"), find_gpu("h100-sxm")


def operator(model: str, name: str, new: int, cached: int, *, batch: int = 1, **more: object) -> Operator:
    cost = pass_cost(
        load_model(model), batch=batch, new_tokens=new, context_len=cached, precision=FP16, **more
    )
    return next(op for op in cost.operators if op.name == name)


@pytest.mark.parametrize("cached", [0, 1, 512, 2048])
def test_a_step_attends_to_its_whole_context(cached: int) -> None:
    """4 H d_head for every key and layer: 32 heads of 128, 32 layers."""
    assert operator("mistral-7b-v0.1", "attention", 1, cached).flops == 4 * 32 * 128 * (cached + 1) * 32


@pytest.mark.parametrize(
    ("tokens", "pairs"), [(2048, 2048 * 2049 // 2), (8192, 4096 * 4097 // 2 + 4096 * 4096)]
)
def test_a_causal_count_is_the_pairs_that_the_mask_leaves(tokens: int, pairs: int) -> None:
    """The second goes past Mistral's window of 4096; the default counts all pairs."""
    half = operator("mistral-7b-v0.1", "attention", tokens, 0, causal=True)
    full = operator("mistral-7b-v0.1", "attention", tokens, 0)

    assert half.flops == 4 * 32 * 128 * pairs * 32
    assert full.flops == 4 * 32 * 128 * tokens * tokens * 32


@pytest.mark.parametrize("cached", [512, 2048])
def test_mla_expands_every_cached_token_at_every_step(cached: int) -> None:
    """16 heads of 128 + 128 from a rank of 512, 27 layers."""
    expansion = operator("deepseek-v2-lite", "kv_b_proj", 1, cached)
    absorbed = operator("deepseek-v2-lite", "kv_b_proj", 1, cached, absorbed=True)

    assert expansion.flops == 2 * (cached + 1) * (16 * 256 * 512) * 27
    assert absorbed.flops == 2 * (16 * 256 * 512) * 27


def test_a_window_caps_only_the_layers_that_have_it() -> None:
    """Gemma-2-9B: 21 layers see 4096 tokens, 21 all; 8 heads of 256, keys and values."""
    step = operator("gemma-2-9b", "attention", 1, 8192)

    assert step.kv_bytes == 21 * (4096 + 8193) * (8 * 256 * 2) * 2
    assert step.flops == 21 * (4096 + 8193) * 4 * 16 * 256


def test_the_activation_is_as_wide_as_the_mlp() -> None:
    """Gate and up read, their product written: 14336 wide, not 4096."""
    act = operator("mistral-7b-v0.1", "act_fn", 512, 0)

    assert act.fused_bytes == 3 * 14_336 * 512 * 2 * 32


def test_experts_stay_in_16_bit() -> None:
    """Modules are what bitsandbytes replaces, and transformers 5 keeps experts as
    parameters: of Mixtral NF4 takes 1.4375 bytes a weight from the attention's alone."""
    mixtral = load_model("mixtral-8x7b-v0.1")
    attention = 32 * (2 * 4096 * 4096 + 2 * 1024 * 4096)

    saved = resident_weight_bytes(mixtral, FP16) - resident_weight_bytes(mixtral, NF4)
    assert saved == attention * (2 - 0.5625)


def test_experts_are_read_once_and_no_more_than_are_used() -> None:
    """Qwen3-30B-A3B: 8 of 128 at the least whatever the batch; 16 tokens are expected
    to use 82.4, and reading their activations is not worth another."""
    one = 3 * 2048 * 768 * 2
    alone, many = (operator("qwen3-30b-a3b", "experts", 1, 512, batch=n) for n in (1, 16))

    assert alone.weight_bytes == many.weight_bytes == 48 * 8 * one
    assert 8 <= alone.fused_bytes / (48 * one) < 8.1
    assert 82.4 <= many.fused_bytes / (48 * one) < 82.7


def test_eager_steps_move_the_cache_three_times() -> None:
    """torch.cat reads 2048 tokens and writes 2049, attention reads 2049; a token is
    keys and values of 8 heads of 128 in 32 layers."""
    tape = eager_tape(MISTRAL, Pass(batch=1, new_tokens=1, context_len=2048), FP16, H100)
    moved = sum(
        kernel.times * sum(t.bytes for t in (*kernel.reads, *kernel.writes) if t.tensor.cache)
        for kernel in tape.kernels
    )

    assert moved == (2048 + 2049 + 2049) * (2 * 8 * 128 * 2 * 32)


@pytest.mark.parametrize("backend", ["eager", "math"])
def test_eager_attention_writes_its_scores_and_flash_does_not(backend: str) -> None:
    """Flash moves queries, keys, values and its output; the others the scores, too,
    which are 8.6 GB in fp16."""
    scores = 2 * 32 * 2048 * 2048 * 32

    assert attention_bytes("flash") == 2 * 2048 * (2 * 4096 + 2 * 1024) * 32
    assert attention_bytes(backend) > attention_bytes("flash") + 8 * scores


def attention_bytes(backend: str) -> float:
    shape = Pass(batch=1, new_tokens=2048, context_len=0)
    found = traffic("eager", MISTRAL, shape, FP16, H100, attention=backend, l2_bytes=0)
    return next(op.bytes for op in found.operators if op.name == "attention")


def test_a_t4_unpacks_every_matrix_of_a_long_prefill() -> None:
    """Seven linears a layer are written out in fp16 with 512 tokens, none with one."""
    prompt, step = (nf4_tape(tokens) for tokens in (512, 1))
    unpacking = [kernel for kernel in prompt.kernels if kernel.kind == "dequantise"]

    assert sum(kernel.times for kernel in unpacking) == 7 * 32
    assert sum(kernel.times * kernel.written_bytes for kernel in unpacking) == 2 * MISTRAL.linear_params
    assert not [kernel for kernel in step.kernels if kernel.kind == "dequantise"]


def nf4_tape(tokens: int) -> Recording:
    return eager_tape(MISTRAL, Pass(batch=1, new_tokens=tokens, context_len=0), NF4, T4)


def test_eager_decode_on_a_fast_gpu_waits_for_its_launches() -> None:
    """Its 1301 launches take an H100's host longer than its memory; a T4 has more, for
    attention in steps, and yet its memory takes longer."""
    shape = Pass(batch=1, new_tokens=1, context_len=512)
    cost = pass_cost(MISTRAL, batch=1, new_tokens=1, context_len=512, precision=FP16)
    regimes, launches = {}, {}
    for gpu in (H100, T4):
        guess = estimate(MISTRAL, shape, FP16, gpu)
        regimes[gpu.key] = pass_limits(cost, gpu.roofs, overhead_s=guess.overhead_s).regime
        launches[gpu.key] = guess.launches
        assert guess.wall.typical_s == max(guess.device.typical_s, guess.host_s)

    assert launches == {"h100-sxm": 1301, "t4": 1301 + 32 * 10}
    assert regimes == {"h100-sxm": "overhead", "t4": "memory"}
