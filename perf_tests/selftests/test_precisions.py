"""Precisions in the words of bitsandbytes, and on a GPU without bf16."""

import pytest

from analytic import Case, find_gpu, find_precision, load_model
from analytic.precision import PRECISIONS
from perf_tests import plan
from perf_tests.plan import Machine
from perf_tests.quantisation import quantisation, torch_dtype
from perf_tests.selftests.tiny import Later

torch = Later("torch")
T4 = Machine(gpu=find_gpu("t4"), capacity_bytes=15 * 2**30)
L4 = Machine(gpu=find_gpu("l4"), capacity_bytes=22 * 2**30)


@pytest.mark.parametrize("name", PRECISIONS)
def test_a_t4_runs_every_precision_but_bf16(name: str) -> None:
    """sm75 has tensor units of fp16 and int8; in bf16 it would emulate, slowly."""
    case = Case.parse(f"decode-b1-c128-{name}-eager", model="gpt2")
    skip = plan.plan_case(case, load_model("gpt2"), T4).skip

    assert skip == ("t4 has no bf16 units" if name == "bf16" else None)
    assert plan.plan_case(case, load_model("gpt2"), L4).skip is None


@pytest.mark.parametrize("name", ["nf4", "nf4-dq", "int8"])
def test_quantised_weights_with_products_in_bf16_are_refused_there_too(name: str) -> None:
    precision = find_precision(name, compute="bf16")

    assert plan._lacking(precision, T4) == "t4 has no bf16 units"
    assert plan._lacking(find_precision(name), T4) is None
    assert plan._lacking(precision, L4) is None


@pytest.mark.usefixtures("torch_installed")
@pytest.mark.parametrize("compute", ["fp16", "bf16"])
@pytest.mark.parametrize(("name", "double"), [("nf4", False), ("nf4-dq", True)])
def test_4_bit_multiplies_in_what_the_precision_computes_in(name: str, double: bool, compute: str) -> None:  # noqa: FBT001 - a parameter
    pytest.importorskip("bitsandbytes")
    asked = quantisation(find_precision(name, compute=compute))

    assert (asked.load_in_4bit, asked.bnb_4bit_quant_type) == (True, "nf4")
    assert asked.bnb_4bit_compute_dtype == torch_dtype(compute)
    assert asked.bnb_4bit_use_double_quant is double


@pytest.mark.usefixtures("torch_installed")
def test_nothing_is_asked_of_bitsandbytes_for_whole_precisions() -> None:
    assert [quantisation(find_precision(name)) for name in ("fp16", "bf16", "fp32")] == [None] * 3
