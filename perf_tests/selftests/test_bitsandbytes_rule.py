"""The model's dispatch rule against that of the installed bitsandbytes."""

import ast
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from analytic.bitsandbytes import VERSION, linear_path

RULE = "_gemm_4bit_use_custom_cuda"
PROPS = "_gpu_dispatch_props"
FLOOR, MOST = "_GEMM_4BIT_CUSTOM_FLOOR_M", "_gemm_4bit_custom_max_m"

GPUS = (
    *((cc, sms) for cc in ((7, 0), (8, 7), (11, 0)) for sms in (14, 80)),
    *(((7, 5), sms) for sms in (40, 47, 68)),
    *(((8, 0), sms) for sms in (56, 57, 108)),
    *(((8, 6), sms) for sms in (72, 80, 83)),
    *(((8, 9), sms) for sms in (58, 59, 60, 128, 142)),
    *(((9, 0), sms) for sms in (78, 114, 132)),
    *(((10, 0), sms) for sms in (148, 160)),
    *(((12, 0), sms) for sms in (36, 84, 170, 188)),
    *(((12, 1), sms) for sms in (48, 49)),
)
# Every limit that the rule knows, and both its neighbours.
LIMITS = (4, 7, 8, 10, 12, 16, 23, 32, 48, 64, 96, 128, 192, 256, 320, 384, 512, 600, 1536)
TOKENS = sorted({1, 6, *(limit + off for limit in LIMITS for off in (-1, 0, 1))})
SIZES = (64, 512, 704, 960, 1024, 1536, 2048, 2304, 2560, 3072, 4096, 5120, 8192, 12288, 14336, 28672)
DTYPES = ("fp16", "bf16", "fp32")


@pytest.fixture(scope="module")
def rule() -> Callable[..., bool]:
    """The decision of bitsandbytes itself: (GPU, dtype, M, N, K) -> fused.

    Cut out of its source, since the module around it loads with CUDA only.
    """
    package = pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    version = tuple(int(part) for part in package.__version__.split(".")[:2])
    if version < VERSION:
        pytest.skip(f"bitsandbytes {package.__version__} has no rule; {VERSION} and later do")
    torch = pytest.importorskip("torch")
    source = (Path(package.__file__).parent / "backends/cuda/ops.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    constants = {
        node.targets[0].id: node.value.value
        for node in reversed(list(ast.walk(tree)))  # the first is CUDA's, a later one ROCm's
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    found = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == RULE)
    found.decorator_list.clear()  # a cache would remember the GPU before
    space: dict[str, Any] = {"torch": torch, FLOOR: constants[FLOOR]}
    exec(compile(ast.Module([found], []), "ops.py", "exec"), space)  # noqa: S102 - the package's own code
    dtypes = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}

    def decide(gpu: tuple[tuple[int, int], int], dtype: str, m: int, n: int, k: int) -> bool:
        (major, minor), sms = gpu
        space[PROPS] = lambda _: (sms, major, minor)
        return m <= constants[MOST] and k % 64 == 0 and bool(space[RULE](0, dtypes[dtype], m, n, k))

    return decide


def _differences(rule: Callable[..., bool], points: Any) -> tuple[int, list[str]]:
    count, wrong = 0, []
    for (cc, sms), dtype, m, n, k in points:
        count += 1
        path = linear_path(compute_capability=cc, sm_count=sms, tokens=m, rows=n, cols=k, dtype=dtype)
        if path.fused != rule((cc, sms), dtype, m, n, k):
            wrong.append(f"sm{cc} {sms} SMs {dtype} M={m} N={n} K={k}: {path.reason}")
    return count, wrong


def test_the_rule_is_that_of_bitsandbytes(rule: Callable[..., bool]) -> None:
    count, wrong = _differences(rule, product(GPUS, ("fp16",), TOKENS, SIZES, SIZES))

    assert count >= 50_000
    assert wrong[:5] == []


def test_other_dtypes_and_odd_sizes_too(rule: Callable[..., bool]) -> None:
    """Rows that fill no tile, and inputs that fill no block of 64."""
    tokens = (1, 5, 7, 8, 9, 33, 65, 129, 1537)
    few = product(GPUS, DTYPES, tokens, (63, 65, 2303, 4100, 12800), (100, 768, 4096, 11008))
    _, wrong = _differences(rule, few)

    assert wrong[:5] == []
