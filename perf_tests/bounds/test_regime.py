"""Which of three roofs a pass lies under: arithmetic, memory, or launching."""

import pytest

from analytic import Cost, Operator, Roofs, find_gpu, find_precision, load_model, pass_bound, pass_cost
from analytic.estimate import LAUNCH_GAP_S, estimate
from analytic.passes import Pass
from analytic.regime import Limits, operator_limits, pass_limits

pytestmark = pytest.mark.analytic

MISTRAL = load_model("mistral-7b-v0.2")
FP16 = find_precision("fp16")
ROOFS = Roofs(label="test", bytes_per_s=10.0, flops_per_s={"fp16": 1000.0, "int8": 4000.0})


def cost_by_hand(**operators: tuple[int, int, str]) -> Cost:
    """A pass of named operators of these FLOPs, bytes and dtypes."""
    ops = tuple(
        Operator(
            name=name,
            count=1,
            math=math,
            flops=flops,
            weight_bytes=moved,
            kv_bytes=0,
            kv_written_bytes=0,
            fused_bytes=moved,
        )
        for name, (flops, moved, math) in operators.items()
    )
    return Cost(batch=1, new_tokens=1, context_len=0, math="fp16", operators=ops)


@pytest.mark.parametrize(
    ("compute_s", "memory_s", "overhead_s", "regime"),
    [
        (3.0, 2.0, 1.0, "compute"),
        (2.0, 3.0, 1.0, "memory"),
        (1.0, 2.0, 3.0, "overhead"),
        (2.0, 1.0, 3.0, "overhead"),
        (3.0, 3.0, 3.0, "memory"),  # a tie is memory's, as in the two-roof bound
        (0.0, 0.0, 1e-9, "overhead"),
        (0.0, 0.0, 0.0, "memory"),
    ],
)
def test_the_longest_roof_is_the_regime(
    compute_s: float, memory_s: float, overhead_s: float, regime: str
) -> None:
    assert Limits(compute_s=compute_s, memory_s=memory_s, overhead_s=overhead_s).regime == regime


def test_a_pass_has_each_dtypes_roof_and_all_its_bytes() -> None:
    cost = cost_by_hand(a=(2000, 30, "fp16"), b=(8000, 10, "int8"))

    assert pass_limits(cost, ROOFS, overhead_s=5.0) == Limits(compute_s=4.0, memory_s=4.0, overhead_s=5.0)


@pytest.mark.parametrize(
    ("new", "cached", "precision"), [(512, 0, "fp16"), (1, 512, "nf4"), (512, 0, "int8")]
)
def test_without_overhead_the_regime_is_the_bounds_limiter(new: int, cached: int, precision: str) -> None:
    cost = pass_cost(
        MISTRAL, batch=1, new_tokens=new, context_len=cached, precision=find_precision(precision)
    )
    roofs = find_gpu("h100-sxm").roofs
    bound, limits = pass_bound(cost, roofs), pass_limits(cost, roofs, overhead_s=0.0)

    assert (limits.compute_s, limits.memory_s) == pytest.approx((bound.compute_s, bound.memory_s))
    assert limits.regime == bound.limiter


@pytest.mark.parametrize(
    ("gpu", "new", "cached", "regime"),
    [
        ("h100-sxm", 1, 512, "overhead"),  # 4.3 ms of memory, 22 ms of launches
        ("h100-sxm", 512, 0, "overhead"),  # 7.4 ms of arithmetic
        ("h100-sxm", 4096, 0, "compute"),
        ("t4", 1, 512, "memory"),  # 44.7 ms
        ("t4", 512, 0, "compute"),
    ],
)
def test_eager_decode_is_launch_bound_on_a_fast_card_only(
    gpu: str, new: int, cached: int, regime: str
) -> None:
    card, shape = find_gpu(gpu), Pass(batch=1, new_tokens=new, context_len=cached)
    cost = pass_cost(MISTRAL, batch=1, new_tokens=new, context_len=cached, precision=FP16)
    guess = estimate(MISTRAL, shape, FP16, card)

    assert pass_limits(cost, card.roofs, overhead_s=guess.overhead_s).regime == regime


def test_a_host_that_launches_faster_lifts_its_roof() -> None:
    """At 3 µs a launch, 1301 of them take less than the weights."""
    cost = pass_cost(MISTRAL, batch=1, new_tokens=1, context_len=512, precision=FP16)
    roofs = find_gpu("h100-sxm").roofs

    assert pass_limits(cost, roofs, overhead_s=1301 * LAUNCH_GAP_S).regime == "overhead"
    assert pass_limits(cost, roofs, overhead_s=1301 * 3e-6).regime == "memory"


def test_each_operator_has_a_regime_of_its_own() -> None:
    cost = cost_by_hand(product=(9000, 10, "fp16"), stream=(10, 90, "fp16"), tiny=(1, 1, "fp16"))
    found = operator_limits(cost, ROOFS, launches={"product": 1, "stream": 1, "tiny": 4}, launch_gap_s=0.5)

    assert {name: limits.regime for name, limits in found.items()} == {
        "product": "compute",
        "stream": "memory",
        "tiny": "overhead",
    }
    assert found["tiny"] == Limits(compute_s=1e-3, memory_s=0.1, overhead_s=2.0)


def test_what_only_eager_execution_launches_is_overhead_and_nothing_else() -> None:
    """Rotary embedding and the cache's copies must move nothing."""
    found = operator_limits(
        cost_by_hand(product=(1, 1, "fp16")), ROOFS, launches={"rope": 329, "product": 1}, launch_gap_s=1e-3
    )

    assert list(found) == ["product", "rope"]
    assert found["rope"] == Limits(compute_s=0.0, memory_s=0.0, overhead_s=0.329)
    assert found["rope"].regime == "overhead"


def test_an_operator_that_launches_nothing_has_no_overhead() -> None:
    found = operator_limits(cost_by_hand(product=(1, 1, "fp16")), ROOFS, launches={}, launch_gap_s=1.0)

    assert found["product"].overhead_s == 0.0


def test_operators_share_the_overhead_of_the_pass() -> None:
    h100, shape = find_gpu("h100-sxm"), Pass(batch=1, new_tokens=1, context_len=512)
    cost = pass_cost(MISTRAL, batch=1, new_tokens=1, context_len=512, precision=FP16)
    guess = estimate(MISTRAL, shape, FP16, h100)
    launches = {op.name: op.launches for op in guess.operators}
    found = operator_limits(cost, h100.roofs, launches=launches, launch_gap_s=LAUNCH_GAP_S)

    assert sum(limits.overhead_s for limits in found.values()) == pytest.approx(guess.overhead_s)
    assert found["norms"].regime == "overhead"
    assert found["gate_proj"].regime == "memory"
