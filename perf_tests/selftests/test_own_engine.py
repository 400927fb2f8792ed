"""The example of an own engine, as a user runs it: options, a measurement, a verdict."""

import pytest

from perf_tests.selftests.tiny import ROOT, Place, write_config

EXAMPLE = ROOT / "perf_tests" / "examples" / "math_attention.py"

# Says which kernels attention may use while it runs.
SPY = """
import torch

real = torch.nn.functional.scaled_dot_product_attention

def watched(*given, **settings):
    said = f"FLASH {torch.backends.cuda.flash_sdp_enabled()}"
    print(said)
    return real(*given, **settings)

torch.nn.functional.scaled_dot_product_attention = watched
"""


@pytest.mark.long
@pytest.mark.usefixtures("torch_installed")
def test_the_example_is_measured_beside_eager(place: Place) -> None:
    done = place.pytest(
        *("-v", "-s", *place.plugin("spy", SPY), "-m", "cpu"),
        f"--perf-model={write_config(place.home / 'tiny')}",
        *("--perf-engine=eager,perf_tests/examples/math_attention.py", "--perf-batch=1"),
        *("--perf-context=9", "--perf-prompt=8", f"--perf-out={place.home / 'out'}"),
        *(f"perf_tests/test_{kind}.py" for kind in ("prefill", "decode", "generate", "verdict")),
    )
    engines = ("eager", "mathattention")
    ids = {f"{step}-fp32" for step in ("prefill-b1-p8", "decode-b1-c9", "generate-b1-p8-n16")}

    assert done.rc == 0, done.out
    records = {p.stem for p in (place.home / "out" / "records").iterdir()}
    assert records == {f"{case_id}-{engine}" for case_id in ids for engine in engines}
    assert {f"FLASH {allowed}" for allowed in (True, False)} <= set(done.out.split("\n"))
    for case_id in records:
        assert f"[{case_id}] " in done.out


def test_it_is_collected_without_torch(place: Place) -> None:
    done = place.pytest(
        *(*place.without_torch(), "--collect-only", "-q", "-m", "gpu", f"--perf-engine={EXAMPLE}"),
        *("--perf-context=512", "--perf-precision=fp16", "perf_tests/test_decode.py"),
    )

    assert done.rc == 0, done.out
    assert "test_decode[decode-b1-c512-fp16-mathattention]" in done.out
    assert "test_decode[decode-b8-c512-fp16-mathattention]" in done.out
