"""Engines other than eager: what their steps do, and how an own one is found."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from analytic import Case, ModelSpec, Phase, SpecError, find_precision
from perf_tests.checkpoint import random_source
from perf_tests.device import CpuDevice, Device, open_device
from perf_tests.engines import compiled, eager, graph, registry
from perf_tests.engines.engine import EngineError
from perf_tests.engines.registry import BUILT_IN, engine_named, find_engine, register_file
from perf_tests.engines.step import Step
from perf_tests.random_weights import build
from perf_tests.selftests.tiny import CONFIG, Later, write_config

needs_torch = pytest.mark.usefixtures("torch_installed")
torch = Later("torch")


def spec_of(folder: Path, **changes: Any) -> ModelSpec:
    return random_source(str(write_config(folder / "tiny", **changes))).spec


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    return spec_of(tmp_path_factory.mktemp("shapes"))


@pytest.fixture(scope="module")
def model() -> Any:
    with torch.inference_mode():  # as the harness loads it
        return build(CONFIG, find_precision("fp32"), "cpu").eval()


def case(case_id: str) -> Case:
    return Case.parse(f"{case_id}-fp32-compiled", model="tiny")


# --- compiled ----------------------------------------------------------------


def static(model: Any, spec: ModelSpec, case_id: str, *, backend: str = "eager") -> Step:
    """A compiled step, by default without the compiler behind Dynamo: that takes long."""
    return compiled.prepare(model, spec, case(case_id), CpuDevice(), options={}, backend=backend)


def outputs(step: Step, count: int) -> list[Any]:
    found = []
    for _ in range(count):
        step.reset()
        found.append(step.run().clone())
    return found


@needs_torch
@pytest.mark.parametrize("case_id", ["decode-b2-c37", "decode-b1-c1", "prefill-b2-p37", "prefill-b1-p1"])
def test_a_compiled_step_gives_what_the_eager_one_gives_each_time(
    model: Any, spec: ModelSpec, case_id: str
) -> None:
    """So it starts from the same position and from the same cache: a rewind that
    left a layer out would attend to one more token each time."""
    found = outputs(static(model, spec, case_id), 3)
    expected = outputs(eager.prepare(model, spec, case(case_id), CpuDevice()), 1)[0]

    assert tuple(expected.shape[1:]) == (1, CONFIG["vocab_size"])
    for output in found:
        torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)


@needs_torch
def test_preparing_compiles_and_no_step_after_it_does(model: Any, spec: ModelSpec) -> None:
    """So that the time of prepare is the compile time, and later ones the steps'."""
    frames: list[int] = []

    def backend(module: Any, _inputs: Any) -> Any:
        frames.append(len(module.graph.nodes))
        return module.forward

    step = static(model, spec, "decode-b1-c9", backend=backend)
    compiled_in_prepare = list(frames)
    outputs(step, 4)

    assert compiled_in_prepare
    assert frames == compiled_in_prepare


@needs_torch
def test_each_case_is_compiled_for_its_own_shape(model: Any, spec: ModelSpec) -> None:
    """Without a reset the second length would be compiled for any."""
    shapes: list[Any] = []

    def backend(module: Any, inputs: list[Any]) -> Any:
        shapes.extend(size for i in inputs for size in (i.shape if hasattr(i, "shape") else (i,)))
        return module.forward

    for length in (9, 10, 11):
        static(model, spec, f"prefill-b1-p{length}", backend=backend)

    assert {9, 10, 11} <= set(shapes)
    assert all(isinstance(size, int) for size in shapes)


@needs_torch
def test_the_model_is_left_as_it_was(model: Any, spec: ModelSpec) -> None:
    before = {name: type(module) for name, module in model.named_modules()}
    attributes = set(vars(model))
    static(model, spec, "decode-b1-c9")

    assert {name: type(module) for name, module in model.named_modules()} == before
    assert set(vars(model)) == attributes


@needs_torch
def test_what_fails_to_prepare_leaves_no_compiled_code(
    model: Any, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    resets: list[int] = []
    monkeypatch.setattr("torch._dynamo.reset", lambda: resets.append(1))

    def backend(_module: Any, _inputs: Any) -> Any:
        def fails(*_: Any) -> Any:
            raise RuntimeError("no such kernel")

        return fails

    with pytest.raises(RuntimeError, match="no such kernel"):
        static(model, spec, "decode-b1-c9", backend=backend)
    assert len(resets) == 2  # before it and after it


@needs_torch
def test_compiled_code_goes_when_the_step_is_closed(model: Any, spec: ModelSpec) -> None:
    """Its graphs hold device memory that the next model needs."""
    frames: list[int] = []

    def backend(module: Any, _inputs: Any) -> Any:
        frames.append(1)
        return module.forward

    step = static(model, spec, "decode-b1-c9", backend=backend)
    kept = len(frames)
    step.close()
    outputs(step, 1)

    assert len(frames) == 2 * kept


@needs_torch
@pytest.mark.parametrize(("case_id", "cached"), [("prefill-b1-p40", 0), ("decode-b2-c15", 15)])
def test_a_sliding_window_that_does_not_roll_works(tmp_path: Path, case_id: str, cached: int) -> None:
    window = {"sliding_window": 16}
    own = build(CONFIG | window, find_precision("fp32"), "cpu").eval()
    step = static(own, spec_of(tmp_path, **window), case_id)
    found = outputs(step, 3)
    expected = outputs(eager.prepare(own, spec_of(tmp_path, **window), case(case_id), CpuDevice()), 1)[0]

    assert cached < 16
    for output in found:
        torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)


@needs_torch
@pytest.mark.parametrize("length", [16, 40])
def test_a_window_that_would_roll_is_refused(tmp_path: Path, length: int) -> None:
    window = {"sliding_window": 16}
    own = build(CONFIG | window, find_precision("fp32"), "cpu").eval()

    with pytest.raises(EngineError, match=f"decode-b1-c{length}-.* 16 tokens.* choose a context below 16"):
        static(own, spec_of(tmp_path, **window), f"decode-b1-c{length}")


@needs_torch
def test_compiled_is_what_torch_calls_reduce_overhead() -> None:
    from torch._inductor import list_mode_options

    assert list_mode_options("reduce-overhead") == compiled._REDUCE_OVERHEAD
    asked = BUILT_IN["tuned"].prepare.keywords["options"]
    assert asked == compiled._REDUCE_OVERHEAD | {"coordinate_descent_tuning": True}
    # Unknown options are refused where they are asked for.
    torch.compile(lambda x: x, options=dict(asked))


# --- graph -------------------------------------------------------------------


class FakeCuda:
    """What torch.cuda is asked for, in its order. `fails` at the capture, if given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, fails: Exception | None = None) -> None:
        self.said: list[str] = []
        self.fails = fails
        stream = SimpleNamespace(wait_stream=lambda _other: self.said.append("wait"))
        for name, fake in (
            ("Stream", lambda: stream),
            ("current_stream", lambda: stream),
            ("stream", lambda _side: self._within("side")),
            ("CUDAGraph", lambda: SimpleNamespace(replay=lambda: self.said.append("replay"))),
            ("graph", lambda _graph: self._within("capture")),
        ):
            monkeypatch.setattr(torch.cuda, name, fake)

    @contextlib.contextmanager
    def _within(self, name: str) -> Iterator[None]:
        self.said.append(name)
        try:
            yield
            if name == "capture" and self.fails:
                raise self.fails
        except RuntimeError as first:
            # As ending a capture that failed does.
            message = "CUDA error: operation failed due to a previous error during capture"
            raise RuntimeError(message) from first
        self.said.append(f"end of {name}")


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> FakeCuda:
    """A faked CUDA, and an eager step that says when it is reset and run."""
    fake = FakeCuda(monkeypatch, fails=getattr(request, "param", None))
    step = Step(
        reset=lambda: fake.said.append("reset"),
        run=lambda: fake.said.append("run") or "logits",
        tokens=lambda output: output,
    )
    monkeypatch.setattr(eager, "prepare", lambda *_: step)
    return fake


@needs_torch
def test_a_graph_is_captured_once_after_warm_runs_aside(counted: FakeCuda) -> None:
    step = graph.prepare(None, None, case("decode-b1-c9"), CpuDevice())
    captured = list(counted.said)
    counted.said.clear()
    step.reset()

    assert captured == [
        *("wait", "side"),
        *("reset", "run") * 3,
        *("end of side", "wait", "reset", "capture", "run", "end of capture"),
    ]
    assert (step.run(), step.run()) == ("logits", "logits")
    assert counted.said == ["replay", "replay"]


@needs_torch
@pytest.mark.parametrize(
    "counted", [RuntimeError("operation not permitted when stream is capturing\nmore")], indirect=True
)
@pytest.mark.usefixtures("counted")
def test_a_step_that_cannot_be_captured_says_so_and_why() -> None:
    with pytest.raises(EngineError) as refused:
        graph.prepare(None, None, case("decode-b1-c9"), CpuDevice())

    said = str(refused.value)
    assert said.startswith(
        "decode-b1-c9-fp32-compiled cannot be captured in a CUDA graph: operation not perm"
    )
    assert "LLM.int8" in said
    assert "\n" not in said


@needs_torch
def test_too_little_memory_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness tells it by its type."""
    FakeCuda(monkeypatch, fails=torch.cuda.OutOfMemoryError("CUDA out of memory"))
    step = Step(reset=lambda: None, run=lambda: None, tokens=lambda _: None)
    monkeypatch.setattr(eager, "prepare", lambda *_: step)

    with pytest.raises(RuntimeError) as refused:
        graph.prepare(None, None, case("decode-b1-c9"), CpuDevice())
    assert not isinstance(refused.value, EngineError)


# --- on a GPU, where there is one ---------------------------------------------


@pytest.fixture(scope="module")
def gpu() -> Device:
    """The GPU that the gpu lane measures; skips where there is none."""
    from perf_tests.gpu_presence import gpu_problem

    if problem := gpu_problem():
        pytest.skip(problem)
    return open_device("gpu")


@pytest.mark.parametrize("name", ["graph", "compiled", "tuned"])
@pytest.mark.parametrize("case_id", ["decode-b2-c37", "prefill-b2-p37"])
def test_replays_on_a_gpu_give_what_eager_gives_there(
    gpu: Device, spec: ModelSpec, name: str, case_id: str
) -> None:
    with torch.inference_mode():
        there = build(CONFIG, find_precision("fp32"), gpu.torch_device).eval()
        (expected,) = outputs(eager.prepare(there, spec, case(case_id), gpu), 1)
        step = find_engine(name).prepare(there, spec, case(case_id), gpu)
        found = outputs(step, 5)
        step.close()

    for output in found:
        torch.testing.assert_close(output, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["compiled", "tuned"])
def test_compiled_steps_on_a_gpu_are_cuda_graphs(gpu: Device, spec: ModelSpec, name: str) -> None:
    """Inductor leaves them out, without an error, where an input has no fixed address."""
    from torch._dynamo.utils import counters

    with torch.inference_mode():
        there = build(CONFIG, find_precision("fp16"), gpu.torch_device).eval()
        counters.clear()
        step = find_engine(name).prepare(there, spec, case("decode-b1-c37"), gpu)
        skips = counters["inductor"]["cudagraph_skips"]
        step.close()

    assert skips == 0


def test_int8_on_a_gpu_cannot_be_captured_and_says_so(gpu: Device, spec: ModelSpec) -> None:
    pytest.importorskip("bitsandbytes")
    with torch.inference_mode():
        there = build(CONFIG, find_precision("int8"), gpu.torch_device).eval()
        with pytest.raises(EngineError, match=r"decode-b1-c37-.* cannot be captured in a CUDA graph: "):
            graph.prepare(there, spec, case("decode-b1-c37"), gpu)


# --- which engines there are -------------------------------------------------

GOOD = """
from perf_tests.engines import eager
from perf_tests.engines.engine import Engine

ENGINE = Engine(name="mine", prepare=eager.prepare)
"""


@pytest.fixture
def own(tmp_path: Path, forgetting: None) -> Path:  # noqa: ARG001 - it patches
    path = tmp_path / "my_engine.py"
    path.write_text(GOOD, encoding="utf-8")
    return path


def test_roofgates_own_engines() -> None:
    assert list(BUILT_IN) == ["eager", "graph", "compiled", "tuned"]
    assert all(find_engine(name).name == name for name in BUILT_IN)
    assert [name for name, engine in BUILT_IN.items() if Phase.GENERATE in engine.phases] == ["eager"]
    assert [name for name, engine in BUILT_IN.items() if engine.attributed] == ["eager"]
    assert [name for name, engine in BUILT_IN.items() if engine.needs_cuda] == ["graph"]
    assert [name for name, engine in BUILT_IN.items() if not engine.queued] == ["eager"]


@pytest.mark.usefixtures("forgetting")
def test_an_unknown_engine_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        SpecError, match=r"unknown engine 'compild'. Nearest: compiled.* Known: compiled, eager, g"
    ):
        find_engine("compild")


def test_an_engine_in_a_file_is_known_by_its_name_from_then_on(own: Path) -> None:
    engine = engine_named("my_engine.py", base=own.parent)

    assert engine is find_engine("mine")
    assert engine is register_file(own)
    with pytest.raises(SpecError, match=r"Known: compiled, eager, graph, mine, tuned"):
        find_engine("their")


def test_a_second_file_may_not_take_its_name(own: Path) -> None:
    register_file(own)
    other = own.with_name("other.py")
    other.write_text(GOOD, encoding="utf-8")

    with pytest.raises(SpecError) as refused:
        register_file(other)
    assert str(refused.value) == f"{other}: the engine 'mine' is defined by {own} already"


# What is replaced in the file, by what, and what is then said after its path.
BAD = [
    (
        GOOD,
        "",
        " defines no ENGINE; a Python file that defines ENGINE is needed (see perf_tests/engines/README.md)",
    ),
    (
        "from perf_tests.engines import eager",
        "import eagre",
        ":2: ModuleNotFoundError: No module named 'eagre'",
    ),
    ('ENGINE = Engine(name="mine"', "ENGINE = Engine(name=1 / 0", ":5: ZeroDivisionError: division by zero"),
    ("eager.prepare)", "eager.prepare", ":5: SyntaxError: '(' was never closed (my_engine.py, line 5)"),
    (
        "prepare=eager.prepare",
        "step=eager.prepare",
        ":5: TypeError: Engine.__init__() got an unexpected keyword",
    ),
    (
        "eager.prepare)",
        "eager.prepare)\nimport sys\nsys.exit(3)",
        ":7: SystemExit: 3; an engine's file is imported, and may not exit",
    ),
    (GOOD, "ENGINE = 'eager'", ": ENGINE is 'eager', not an Engine of perf_tests.engines.engine"),
    (
        '"mine"',
        '"my-engine"',
        ": ENGINE: engine 'my-engine' is no name: lower-case letters and digits are needed",
    ),
    ('"mine"', "7", ": ENGINE: expected string"),
    ('"mine"', '"graph"', ": 'graph' is the name of an engine of Roofgate's own; choose another"),
    ("eager.prepare)", "None)", ": ENGINE: prepare is None; a function is needed"),
    ("eager.prepare)", "eager.prepare, load='x')", ": ENGINE: load is 'x'; a function is needed"),
    (
        "eager.prepare)",
        "eager.prepare, needs_cuda='no')",
        ": ENGINE: needs_cuda is 'no'; True or False is needed",
    ),
    ("eager.prepare)", "eager.prepare, attributed=1)", ": ENGINE: attributed is 1; True or False is needed"),
    ("eager.prepare)", "eager.prepare, queued=None)", ": ENGINE: queued is None; True or False is needed"),
    ("eager.prepare)", "eager.prepare, phases=())", ": ENGINE: phases is (); a tuple of Phase"),
    (
        "eager.prepare)",
        "eager.prepare, phases=('decode',))",
        ": ENGINE: phases is ('decode',); a tuple of Phase",
    ),
]


@pytest.mark.parametrize(("old", "new", "said"), BAD, ids=[said for *_, said in BAD])
def test_a_file_that_cannot_be_used_is_refused_with_its_place(
    own: Path, old: str, new: str, said: str
) -> None:
    assert old in GOOD
    own.write_text(GOOD.replace(old, new), encoding="utf-8")

    with pytest.raises(SpecError) as refused:
        register_file(own)
    assert str(refused.value).removeprefix(str(own)).startswith(said)
    assert registry._OWN == {}


@pytest.mark.usefixtures("forgetting")
def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        SpecError, match=r"none\.py: no such file; a Python file that defines ENGINE is needed"
    ):
        register_file(tmp_path / "none.py")
    with pytest.raises(SpecError, match="this is a folder; a Python file"):
        register_file(tmp_path)
