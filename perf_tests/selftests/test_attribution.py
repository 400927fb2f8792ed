"""Device time by operator, by hand; what moved against a baseline; readable kernel names."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from analytic import SpecError
from baselines.attribution import (
    Moved,
    attributed_share,
    by_operator,
    explain,
    movers,
    summed,
)
from baselines.derived import Derived
from baselines.kernel_names import LONGEST, short_name, short_names
from baselines.record import KernelTime
from baselines.store import Baseline, baseline_of
from baselines.suite import Stored
from perf_tests.selftests.records import DECODE, ceilings, derived, record
from perf_tests.selftests.verdicts import verdict_of

# down_proj of Mistral-7B in fp16: 32 × 14336 × 4096 × 2 bytes.
DOWN_BYTES = 32 * 14336 * 4096 * 2


def kernel(operator: str | None, name: str, *device_s: float, launches: int = 32) -> KernelTime:
    return KernelTime(operator=operator, name=name, launches=launches, device_s=device_s)


STEP = (
    kernel("norms", "pow", 0.2e-3, 0.3e-3, 0.3e-3, launches=65),
    kernel("down_proj", "gemv", 1.3e-3, 1.4e-3, 1.5e-3),
    kernel("down_proj", "splitK", 0.1e-3, 0.1e-3, 0.1e-3),
    kernel("rope", "mul", 0.2e-3, 0.2e-3, 0.2e-3, launches=320),
    kernel("other", "arange", 0.01e-3, 0.01e-3, 0.01e-3, launches=2),
)


def one(kernels: Sequence[KernelTime] | None, case: str = DECODE, **fields: object) -> Derived:
    made = record(case, device_s=0.008, kernels=None if kernels is None else tuple(kernels), **fields)  # type: ignore[arg-type]
    return derived([made])[0]


class TestByOperator:
    def test_times_launches_and_shares_are_sums_of_kernels(self) -> None:
        down, norms, *_ = by_operator(one(STEP), ceilings())

        assert (down.name, down.device_ops) == ("down_proj", 64)
        assert down.device_s == pytest.approx(1.5e-3)  # of 1.4, 1.5, 1.6 ms a step
        assert (norms.name, norms.device_ops) == ("norms", 65)
        # Medians of the operators: 1.5 + 0.3 + 0.2 + 0.01 ms.
        assert norms.share == pytest.approx(0.3 / 2.01)

    def test_bounds_are_bytes_over_the_roof_and_over_the_ceiling(self) -> None:
        down = by_operator(one(STEP), ceilings())[0]

        assert down.bytes == DOWN_BYTES
        assert down.flops == DOWN_BYTES  # 2 FLOPs for each weight of 2 bytes
        assert down.intensity == 1.0
        assert down.bound_s == pytest.approx(DOWN_BYTES / 3350e9)
        assert down.fraction == pytest.approx(DOWN_BYTES / 3350e9 / 1.5e-3)
        assert down.ceiling_s == pytest.approx(DOWN_BYTES / (0.89 * 3350e9))

    def test_arithmetic_bounds_a_prefill(self) -> None:
        down = by_operator(one(STEP, "prefill-b1-p512-fp16-eager"), None)[0]

        assert down.bound_s == pytest.approx(512 * DOWN_BYTES / 989.4e12)
        assert down.ceiling_s is None
        assert down.ceiling_fraction is None

    @pytest.mark.parametrize("case", [DECODE, "prefill-b1-p128-fp16-eager"])
    def test_bounds_add_up_to_the_serial_bound(self, case: str) -> None:
        """Not to the overlapping one, wherever operators differ in what binds them."""
        derived_case = one(STEP, case)
        bounds = [share.bound_s for share in by_operator(derived_case, None) if share.bound_s]

        assert sum(bounds) == pytest.approx(derived_case.bound.serial_s, rel=1e-12)

    def test_without_compulsory_work_there_is_no_bound(self) -> None:
        rope = next(share for share in by_operator(one(STEP), ceilings()) if share.name == "rope")

        assert (rope.flops, rope.bytes, rope.bound_s, rope.fraction, rope.intensity) == (
            0,
            0,
            None,
            None,
            None,
        )

    def test_work_whose_kernels_ran_elsewhere_is_still_there(self) -> None:
        """A fused kernel in another's range; and what was not expected stays too."""
        shares = {share.name: share for share in by_operator(one(STEP), ceilings())}

        assert shares["q_proj"].device_s == 0
        assert shares["q_proj"].bound_s == pytest.approx(32 * 4096 * 4096 * 2 / 3350e9)
        assert shares["q_proj"].fraction is None
        assert "act_fn" not in shares  # neither ran nor has compulsory work

    def test_a_generate_adds_its_passes_up(self) -> None:
        down = by_operator(one(STEP, "generate-b1-p64-n32-fp16-eager", wall_s=1.0), ceilings())[0]

        # A prefill of 64, still bound by its bytes, and 31 steps.
        assert down.bytes == 32 * DOWN_BYTES
        assert down.bound_s == pytest.approx(32 * DOWN_BYTES / 3350e9)

    def test_one_operator_that_is_known_tells_a_step_apart(self) -> None:
        mixed = (kernel("q_proj", "x", 1e-3), kernel(None, "y", 1e-3))

        assert [share.name for share in by_operator(one(mixed), None) if share.device_ops] == [
            "other",
            "q_proj",
        ]

    @pytest.mark.parametrize("kernels", [None, (), (kernel(None, "graph", 8e-3, 8e-3, 8e-3),)])
    def test_kernels_that_were_not_told_apart_say_nothing(
        self, kernels: tuple[KernelTime, ...] | None
    ) -> None:
        assert by_operator(one(kernels), ceilings()) == ()

    def test_kernels_of_unlike_steps_are_refused(self) -> None:
        with pytest.raises(SpecError, match="kernels of 1 and of 2 steps do not go together"):
            summed([kernel("a", "x", 1.0), kernel("a", "y", 1.0, 1.0)])

    def test_the_attributed_share_leaves_out_other_and_none(self) -> None:
        half = (kernel("q_proj", "x", 1.0), kernel("other", "y", 0.75), kernel(None, "z", 0.25))

        assert attributed_share(one(half).record.measurement) == 0.5
        assert attributed_share(one(STEP).record.measurement) == pytest.approx(1 - 0.01 / 2.01, abs=1e-4)
        assert attributed_share(one(None).record.measurement) is None
        assert attributed_share(one((kernel(None, "z", 1.0),)).record.measurement) == 0.0


THEN = (
    kernel("down_proj", "gemv", 1.399e-3, 1.400e-3, 1.401e-3),
    kernel("q_proj", "gemv", 0.5e-3, 0.5e-3, 0.5e-3),
    kernel("norms", "pow", 0.40e-3, 0.44e-3, 0.42e-3),
    kernel("lm_head", "gemv_big", 0.1e-3, 0.1e-3, 0.1e-3, launches=1),
)


class TestExplain:
    def test_the_same_kernels_did_not_move(self) -> None:
        assert explain([replace(k, device_s=k.device_s[1:2] * 5) for k in THEN], THEN) == ()

    def test_ranked_by_milliseconds_with_launches_and_kernels(self) -> None:
        now = (
            kernel("down_proj", "gemv", 1.614e-3, 1.614e-3, launches=37),
            kernel("q_proj", "gemv", 0.3e-3, 0.3e-3),
            THEN[2],
            kernel("lm_head", "sgemm", 0.6e-3, 0.6e-3, launches=1),
            kernel("lm_head", "cast", 0.1e-3, 0.1e-3, launches=1),
        )
        lm_head, down, q_proj = explain(now, THEN)

        assert lm_head == Moved(
            name="lm_head",
            then_s=pytest.approx(0.1e-3),
            change_s=pytest.approx(0.6e-3),
            device_ops=1,
            new=("sgemm", "cast"),
            gone=("gemv_big",),
        )
        assert (down.name, down.device_ops, down.new, down.gone) == ("down_proj", 5, (), ())
        assert down.change_s == pytest.approx(0.214e-3)
        assert (q_proj.name, q_proj.change_s) == ("q_proj", pytest.approx(-0.2e-3))

    def test_a_gain_ranks_by_its_size_too(self) -> None:
        now = (kernel("down_proj", "gemv", 1.5e-3), kernel("q_proj", "gemv", 0.2e-3), *THEN[2:])

        assert [moved.name for moved in explain(now, THEN)] == ["q_proj", "down_proj"]

    @pytest.mark.parametrize(
        ("was", "now", "moved"),
        [
            # SD 0.02 ms of 0.42: within 3 of them, beyond.
            ((0.40e-3, 0.44e-3, 0.42e-3), 0.475e-3, False),
            ((0.40e-3, 0.44e-3, 0.42e-3), 0.485e-3, True),
            # Sessions alike to the digit: 1 % is the least.
            ((1e-3, 1e-3), 1.009e-3, False),
            ((1e-3, 1e-3), 1.011e-3, True),
            ((1e-3, 1e-3), 0.989e-3, True),
            # Under 1 µs, however many per cent.
            ((2e-6, 2e-6), 2.9e-6, False),
            ((2e-6, 2e-6), 3.1e-6, True),
            # One session has no spread.
            ((1e-3,), 1.02e-3, True),
        ],
    )
    def test_noise_is_left_out(self, was: tuple[float, ...], now: float, moved: bool) -> None:  # noqa: FBT001
        found = explain([kernel("norms", "pow", now, now)], [kernel("norms", "pow", *was)])

        assert bool(found) == moved

    def test_launches_are_exact(self) -> None:
        """One tiny kernel more, which no clock sees."""
        (moved,) = explain([replace(THEN[0], launches=33), *THEN[1:]], THEN)

        assert (moved.name, moved.device_ops) == ("down_proj", 1)

    def test_a_kernel_that_some_sessions_ran_is_neither_new_nor_gone(self) -> None:
        """A library may choose by what it measures: its choice is no finding."""
        then = (
            kernel("q_proj", "a", 0.5e-3, 0.0, 0.5e-3),
            kernel("q_proj", "b", 0.0, 0.5e-3, 0.0, launches=0),
        )

        assert explain([kernel("q_proj", "b", 0.5e-3, launches=64)], then) == ()
        assert explain([kernel("q_proj", "a", 0.5e-3)], then) == ()

    def test_an_operator_that_is_new_or_gone(self) -> None:
        added, lost = explain([kernel("cache", "copy", 0.2e-3)], [kernel("rope", "mul", 0.1e-3)])

        assert (added.name, added.then_s, added.new) == ("cache", 0.0, ("copy",))
        assert (lost.name, lost.change_s, lost.gone) == ("rope", -0.1e-3, ("mul",))

    def test_an_engine_without_operators_is_explained_by_kernel(self) -> None:
        then = (kernel(None, "fused_1", 1e-3), kernel(None, "fused_2", 2e-3))
        now = (kernel(None, "fused_1", 1e-3), kernel(None, "fused_2", 2.5e-3))

        assert [(m.name, m.change_s) for m in explain(now, then)] == [("fused_2", pytest.approx(0.5e-3))]

    def test_so_is_one_whose_baseline_was_not_told_apart(self) -> None:
        then = (kernel(None, "gemv", 1e-3, launches=64),)
        now = (kernel("q_proj", "gemv", 0.5e-3), kernel("k_proj", "gemv", 0.7e-3))

        assert [(m.name, m.device_ops) for m in explain(now, then)] == [("gemv", 0)]


def baseline(device_s: float, kernels: tuple[KernelTime, ...] | None) -> Baseline:
    sessions = [
        record(
            DECODE,
            device_s=device_s,
            kernels=None
            if kernels is None
            else tuple(replace(k, device_s=k.device_s[i : i + 1]) for k in kernels),
        )
        for i in range(3)
    ]
    return baseline_of(sessions, written="2026-11-22T12:00:00+00:00", command="a test")


class TestVerdictText:
    NOW = (kernel("down_proj", "gemv", 1.614e-3, 1.614e-3, launches=37), *THEN[1:3])

    def test_the_top_movers_are_named(self) -> None:
        said = movers(one(self.NOW), baseline(0.0078, THEN))

        assert said == (
            "; moved most: down_proj +214.0 µs, +5 device ops; lm_head -100.000 µs, -1 device op; "
            "gone kernels: gemv_big"
        )

    @pytest.mark.parametrize(("now", "then"), [(None, THEN), (THEN, None), (THEN, THEN)])
    def test_nothing_is_said_without_kernels_or_movers(
        self, now: tuple[KernelTime, ...] | None, then: tuple[KernelTime, ...] | None
    ) -> None:
        assert movers(one(now), baseline(0.0078, then)) == ""

    def test_a_regression_is_explained(self) -> None:
        stored = Stored(baseline=baseline(0.0078, THEN), place="b.json", digest=None, regime="launch")
        slower = replace(
            one(self.NOW).record,
            measurement=replace(one(self.NOW).record.measurement, device_s=(0.0082,) * 3),
        )
        said = next(r for r in verdict_of(slower, stored).reasons if "moved most" in r)

        assert "moved most: down_proj +214.0 µs, +5 device ops;" in said
        assert said.index("moved most") < said.index("if this is meant")


MUL = "at::native::BinaryFunctor<c10::Half, c10::Half, c10::Half, at::native::binary_internal::MulFunctor<float> >"
NEG = (
    "at::native::neg_kernel_cuda(at::TensorIteratorBase&)::{lambda()#2}::operator()() const::"
    "{lambda()#7}::operator()() const::{lambda(c10::Half)#1}"
)
COPY = "at::native::direct_copy_kernel_cuda(at::TensorIteratorBase&)::{lambda()#3}::operator()() const::{lambda()#7}::operator()() const::{lambda(float)#1}"
NAMES = [
    (
        (
            f"void at::native::elementwise_kernel<128, 4, at::native::gpu_kernel_impl_nocast<{MUL} >"
            f"(at::TensorIteratorBase&, {MUL} const&)::{{lambda(int)#1}}>(int, at::native::x<{MUL} >)"
        ),
        "elementwise_kernel<128, 4, BinaryFunctor<Half, MulFunctor<float>>>",
    ),
    (
        f"void at::native::vectorized_elementwise_kernel<8, {NEG}, std::array<char*, 2ul> >(int, {NEG})",
        "vectorized_elementwise_kernel<8, neg_kernel_cuda#2.7.1>",
    ),
    (
        (
            f"void at::native::unrolled_elementwise_kernel<{COPY}, std::array<char*, 2ul>, 4, "
            "TrivialOffsetCalculator<1, unsigned int>, TrivialOffsetCalculator<1, unsigned int>, "
            "at::native::memory::LoadWithCast<1>, at::native::memory::StoreWithCast<1> >(int, x)"
        ),
        "unrolled_elementwise_kernel<direct_copy_kernel_cuda#3.7.1, 4>",
    ),
    (
        (
            "void at::native::reduce_kernel<512, 1, at::native::ReduceOp<float, at::native::MeanOps<float, float, "
            "float, float>, unsigned int, float, 4, 4> >(at::native::ReduceOp<float>)"
        ),
        "reduce_kernel<512, 1, ReduceOp<float, MeanOps<float>, unsigned int, float, 4>>",
    ),
    (
        (
            "void at::native::(anonymous namespace)::CatArrayBatchedCopy_vectorized<at::native::(anonymous "
            "namespace)::OpaqueType<2u>, unsigned int, 3, 128, 1, 16, 8>(char*, unsigned int)"
        ),
        "CatArrayBatchedCopy_vectorized<OpaqueType<2u>, unsigned int, 3, 128, 1, 16, 8>",
    ),
    (
        "std::enable_if<!(false), void>::type internal::gemvx::kernel<int, int, float, float, false, 7>(x)",
        "gemvx::kernel<int, float, false, 7>",
    ),
    ("void gemm_4bit_simt<__half, 1>(__half const*, unsigned char const*)", "gemm_4bit_simt<__half, 1>"),
    ("nvjet_sm90_hsh_64x8_64x16_2x1_v_bz_splitK_TNT", "nvjet_sm90_hsh_64x8_64x16_2x1_v_bz_splitK_TNT"),
    ("triton_red_fused__to_copy_add_mean_3", "triton_red_fused__to_copy_add_mean_3"),
    ("Memcpy DtoD (Device -> Device)", "Memcpy DtoD (Device -> Device)"),
]


class TestNames:
    @pytest.mark.parametrize(("name", "short"), NAMES, ids=[short for _, short in NAMES])
    def test_the_part_that_tells_is_kept(self, name: str, short: str) -> None:
        assert short_name(name) == short

    def test_a_long_name_is_cut_in_the_middle_and_told_apart(self) -> None:
        start = "cudnn_generated_fort_native_sdpa_sm80_flash_fprop_wmma_f16_knob_35_16x128x"
        one, other = (short_name(f"{start}{size}_1x4x1_cga1x1x1_kernel0_0") for size in (128, 256))

        assert len(one) == len(other) == LONGEST
        assert one != other

    @pytest.mark.parametrize("cut", range(0, 330, 7))
    def test_a_name_cut_short_is_still_a_name(self, cut: int) -> None:
        """As a profiler or a log may leave it."""
        assert 0 < len(short_name(NAMES[0][0][: cut + 1])) <= LONGEST

    @pytest.mark.parametrize("odd", ["<", ">", ")(", "{", "::", "operator", "void ", ", "])
    def test_odd_names_do_not_break(self, odd: str) -> None:
        assert short_name(odd)

    def test_names_that_fall_together_carry_a_digest(self) -> None:
        alike = [f"void f<g>({argument})" for argument in ("int", "float")]
        first, second = (
            short_names([*alike, "void h(int)"]).values().__iter__().__next__(),
            short_names(alike)[alike[1]],
        )

        assert first.startswith("f<g> #")
        assert second.startswith("f<g> #")
        assert first != second
        assert short_names([*alike, "void h(int)"])["void h(int)"] == "h"
