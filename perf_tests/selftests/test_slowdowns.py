"""The slowdowns of the proof: real work, where it is said to lie, of a size that is timed."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from analytic import Case, SpecError, find_precision, read_config
from baselines.history.outbox import read_note
from baselines.record import Counts
from baselines.run import RunFolder
from perf_tests.counting import count_host_work
from perf_tests.device import CpuDevice
from perf_tests.engines.engine import EngineError
from perf_tests.engines.step import Step
from perf_tests.proof import expectations, sizes, true_size
from perf_tests.proof.expectations import DEVICE, EXPECTATIONS, METRICS, Move, find_expectation
from perf_tests.proof.inject import LABEL, VARIABLE
from perf_tests.proof.sizes import read_sizes
from perf_tests.proof.true_size import Subject, differences, size_of
from perf_tests.proof.work import PYTHON_CALLS, SLOWDOWNS, again, find_slowdown
from perf_tests.selftests.tiny import CONFIG, Later, Place, environment, run, write_config

torch = Later("torch")

PROOF = Path(true_size.__file__).parent
NAMES = [slowdown.name for slowdown in SLOWDOWNS]
USAGE_ERROR = 4

# --- the work is real, and lies where it is said to --------------------------

LAYERS = 32  # as many as Mistral-7B has: 2 % of its projections are two


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    small = {"hidden_size": 64, "head_dim": 16, "intermediate_size": 96, "vocab_size": 128}
    return CONFIG | small | {"num_hidden_layers": LAYERS}


@pytest.fixture(scope="module")
def model(config: dict[str, Any], torch_installed: None) -> Any:  # noqa: ARG001 - it skips
    from perf_tests.random_weights import build

    return build(config, find_precision("fp16"), "cpu").eval()


@pytest.fixture(scope="module", params=["prefill-b1-p8", "decode-b1-c8"])
def subject(request: pytest.FixtureRequest, model: Any, config: dict[str, Any]) -> Subject:
    spec = read_config(config, name="tiny", source="tiny")
    case = Case.parse(f"{request.param}-fp16-eager", model="tiny")
    return Subject(case=case, model=model, spec=spec, device=CpuDevice())


@pytest.fixture(scope="module")
def step(subject: Subject) -> Step:
    from perf_tests.engines.eager import prepare

    return prepare(subject.model, subject.spec, subject.case, subject.device)


def aten_by_operator(subject: Subject, step: Step) -> Counter[str]:
    """ATen calls of one step, by the innermost range that the harness puts around modules."""
    from perf_tests import kineto
    from perf_tests.module_ranges import RANGE_PREFIX, module_ranges

    with module_ranges(subject.model, subject.spec), torch.profiler.profile() as profiler:
        step.reset()
        step.run()
    events = list(profiler.profiler.kineto_results.events())
    spans = [
        kineto.Span(name=e.name(), start_ns=e.start_ns(), end_ns=e.start_ns() + e.duration_ns())
        for e in events
        if e.name().startswith(RANGE_PREFIX)
    ]
    spans.sort(key=lambda span: (span.start_ns, -span.end_ns))
    calls = [e.start_ns() for e in events if e.name().startswith("aten::")]
    return Counter(kineto._innermost(spans, calls))


def python_calls(step: Step) -> int:
    (calls,) = set(count_host_work(step, CpuDevice()).python_calls)
    return calls


@pytest.fixture(scope="module")
def plain(subject: Subject, step: Step) -> tuple[Counter[str], int]:
    return aten_by_operator(subject, step), python_calls(step)


@pytest.fixture
def applied(subject: Subject) -> Iterator[Callable[[str], None]]:
    removals = []

    def apply(name: str) -> None:
        removals.append(find_slowdown(name).apply(subject.model))

    yield apply
    for remove in removals:
        remove()


@pytest.mark.parametrize("name", NAMES)
def test_a_slowdown_does_what_is_expected_of_it(
    subject: Subject,
    step: Step,
    plain: tuple[Counter[str], int],
    name: str,
    applied: Callable[[str], None],
) -> None:
    """On a CPU what the host does can be counted: the ATen calls that are added lie in
    the operators that must move and in no other, and where none may be, there is none."""
    expected = find_expectation(name).of(subject.case)
    operators, calls = plain
    applied(name)
    added = aten_by_operator(subject, step)
    added.subtract(operators)
    moved = {operator for operator, count in added.items() if count}

    assert moved == set(expected.operators)
    assert (expected.move("aten_ops") is Move.GROWS) == bool(moved)
    if expected.move("python_calls") is Move.GROWS:
        assert python_calls(step) > calls


def test_python_per_layer_makes_the_calls_that_it_claims(step: Step, applied: Callable[[str], None]) -> None:
    before = python_calls(step)
    applied("python-per-layer")

    assert LAYERS * PYTHON_CALLS <= python_calls(step) - before <= LAYERS * (PYTHON_CALLS + 5)


@pytest.mark.parametrize("name", NAMES)
def test_a_slowdown_leaves_the_result_alone_and_no_trace(subject: Subject, step: Step, name: str) -> None:
    def logits() -> Any:
        step.reset()
        return step.run()

    plain = logits()
    remove = find_slowdown(name).apply(subject.model)
    slowed = logits()
    remove()

    assert torch.allclose(slowed, plain, atol=2e-3)  # fp16 logits of about 0.1
    assert not [m for m in subject.model.modules() if "forward" in vars(m)]


@pytest.mark.parametrize(("name", "share"), [("mlp-2", 0.02), ("mlp-5", 0.05)])
def test_the_mlp_runs_the_share_that_it_claims_again(
    subject: Subject, step: Step, name: str, share: float, applied: Callable[[str], None]
) -> None:
    """Floating point operations, counted by torch: those of so many projections more,
    all three of which have the same."""
    from torch.utils.flop_counter import FlopCounterMode

    def flops() -> int:
        step.reset()
        with FlopCounterMode(display=False) as counter:
            step.run()
        return counter.get_total_flops()

    shape, tokens = subject.model.config, 8 if subject.case.phase == "prefill" else 1
    one = 2 * shape.hidden_size * shape.intermediate_size * tokens
    plain = flops()
    applied(name)
    count = (flops() - plain) / one

    assert count == again(LAYERS, share)
    assert count / (3 * LAYERS) == pytest.approx(share, rel=0.05)


def test_a_head_in_fp32_already_is_refused(config: dict[str, Any], torch_installed: None) -> None:  # noqa: ARG001 - it skips
    from perf_tests.random_weights import build

    model = build(config | {"num_hidden_layers": 1}, find_precision("fp32"), "cpu")

    with pytest.raises(SpecError, match="needs a head in 16 bit"):
        find_slowdown("lm-head-fp32").apply(model)


# --- the plugin, in a run of the CPU lane ------------------------------------


def test_an_unknown_slowdown_is_refused_with_those_there_are(place: Place) -> None:
    done = place.pytest("-p", "perf_tests.proof.inject", "-m", "cpu", **{VARIABLE: "kv-coyp"})

    assert done.rc == USAGE_ERROR
    assert f"{VARIABLE}: there is no slowdown 'kv-coyp'; there are kv-copy, " in done.out


@pytest.mark.long
@pytest.mark.usefixtures("torch_installed")
def test_a_slowed_run_says_so_in_its_folder(place: Place) -> None:
    command = (sys.executable, "-m", "perf_tests.proof.sessions", "--out", str(place.home / "slowed"))
    done = run(
        *command,
        *("--count", "0", "--slowdowns", "kv-copy", "-m", "cpu", "-k", "decode-b1-c128-fp32"),
        f"--perf-model={write_config(place.home / 'tiny')}",
        *("perf_tests/test_decode.py", "perf_tests/test_verdict.py"),
        cwd=place.root,
        env=environment(ROOFGATE_HISTORY=""),
    )
    folder = place.home / "slowed" / "kv-copy"

    assert done.rc == 0, done.out
    assert done.line("slowdown kv-copy: ").endswith(find_slowdown("kv-copy").does)
    assert (folder / LABEL).read_text(encoding="utf-8") == "kv-copy\n"
    assert [r.case.id for r in RunFolder(folder).records()] == ["decode-b1-c128-fp32-eager"]
    # Slowed on purpose: in no history, and push leaves it out.
    assert not (place.root / "runs").exists()
    assert read_note(RunFolder(folder)).withheld


# --- what is expected --------------------------------------------------------


def test_every_slowdown_has_its_expectation() -> None:
    assert [e.slowdown for e in EXPECTATIONS] == NAMES
    assert all(e.why and all(x.why for x in e.exemptions) for e in EXPECTATIONS)
    assert all(e.grows for e in EXPECTATIONS), "a slowdown that nothing sees proves nothing"
    assert set(METRICS) == {DEVICE, *Counts.__slots__}


def test_the_readme_has_the_table_of_what_is_expected() -> None:
    assert expectations.table() in (PROOF / "README.md").read_text(encoding="utf-8")


# --- true sizes --------------------------------------------------------------


def test_a_drifting_clock_adds_nothing_to_a_true_size() -> None:
    """Each burst is later than the one before, and slower by as much."""
    bursts = iter(range(1000))

    def stopwatch(step_s: float) -> Callable[[], float]:
        return lambda: step_s + 0.01 * next(bursts)

    _, added = differences(stopwatch(1.0), stopwatch(1.5), rounds=10)

    assert fmean(added) == pytest.approx(0.5)


def test_a_true_size_is_of_the_model_with_and_without(subject: Subject) -> None:
    """The step's stopwatch is made while the work is in the model, and only then."""

    def capture(_subject: Subject) -> Callable[[], float]:
        inside = any("forward" in vars(module) for module in subject.model.modules())
        return lambda: 1.25 if inside else 1.0

    found = size_of(find_slowdown("mlp-2"), subject, capture(subject), capture, rounds=4)

    assert (found.base_s, found.added_s, found.low_s, found.high_s) == (1.0, 0.25, 0.25, 0.25)
    assert capture(subject)() == 1.0


def test_what_a_graph_does_otherwise_is_timed_alone(subject: Subject) -> None:
    """As many copies as the slowdown makes, of tensors like those that it copies."""
    timed = []

    class Counting(CpuDevice):
        def time_s(self, work: Callable[[], Any]) -> float:
            timed.append(work())
            return 0.5

    found = size_of(
        find_slowdown("kv-copy"),
        replace(subject, device=Counting()),
        lambda: pytest.fail("the graph is not asked"),
        lambda _: pytest.fail("the graph is not asked"),
        rounds=4,
    )
    tokens = 8 + (subject.case.phase == "decode")

    assert (found.base_s, found.added_s) == (None, 0.5)
    assert found.how == "the same work alone, queued, 4 rounds"
    assert [tuple(copy.shape) for copy in timed[0]] == [(1, 2, tokens, 16)] * (2 * LAYERS)
    assert not [hooks for m in subject.model.modules() if (hooks := m._forward_hooks)]


def test_sizes_in_4_bit_need_bitsandbytes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Said before anything is loaded."""
    monkeypatch.setattr(true_size, "gpu_problem", lambda: None)
    monkeypatch.setattr(true_size, "quantiser_problem", lambda: "bitsandbytes is not installed")
    monkeypatch.setattr(true_size, "sizes", lambda *_, **__: ())

    assert true_size.main([]) == 2
    assert "cases in nf4: bitsandbytes is not installed" in capsys.readouterr().err
    assert true_size.main(["--cases", true_size.CASES[0], true_size.CASES[1]]) == 0


def test_what_cannot_be_replayed_says_how_its_size_is_known(subject: Subject, tmp_path: Path) -> None:
    def capture(_subject: Subject) -> Callable[[], float]:
        raise EngineError("operation not permitted when stream is capturing")

    found = [size_of(find_slowdown(name), subject, lambda: 1.0, capture, rounds=4) for name in NAMES]
    (tmp_path / "sizes.csv").write_text(sizes.as_csv(found), encoding="utf-8")
    by_name = {size.slowdown: size for size in found}

    assert by_name["sync-per-layer"].added_s == 0.0
    assert by_name["sync-per-layer"].how.startswith(f"by construction: {LAYERS} waits of the host")
    assert by_name["mlp-2"].added_s is None
    assert by_name["mlp-2"].how == "not captured: operation not permitted when stream is capturing"
    assert read_sizes(tmp_path / "sizes.csv") == {(s.slowdown, s.case): s for s in found}
