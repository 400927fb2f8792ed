"""What a step of the eager engine really does: exactly the tokens that its case claims."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analytic import Case, ModelSpec, find_precision
from perf_tests.checkpoint import random_source
from perf_tests.device import CpuDevice
from perf_tests.engines import eager
from perf_tests.engines.eager import prepare
from perf_tests.engines.step import Step, input_ids, next_tokens
from perf_tests.random_weights import build
from perf_tests.selftests.tiny import CONFIG, Later, write_config

pytestmark = pytest.mark.usefixtures("torch_installed")

torch = Later("torch")

VOCABULARY = CONFIG["vocab_size"]
LAYERS = CONFIG["num_hidden_layers"]


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    return random_source(str(write_config(tmp_path_factory.mktemp("shapes") / "tiny"))).spec


@pytest.fixture(scope="module")
def model() -> Any:
    return build(CONFIG, find_precision("fp32"), "cpu").eval()


def case(case_id: str) -> Case:
    return Case.parse(f"{case_id}-fp32-eager", model="tiny")


class Watched:
    """The model, and of each pass: tokens in, cached before, and the cache's first keys."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.config, self.dtype = model.config, model.dtype
        self.passes: list[dict[str, Any]] = []

    def __call__(self, **asked: Any) -> Any:
        cache = asked["past_key_values"]
        before = cache.get_seq_length()
        self.passes.append(
            {
                "ids": asked["input_ids"].clone(),
                "cached": before,
                "keys": cache.layers[0].keys.clone() if before else None,
                "values": cache.layers[-1].values.clone() if before else None,
            }
        )
        out = self._model(**asked)
        self.passes[-1]["cached after"] = cache.get_seq_length()
        return out


@pytest.fixture
def attended(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(queries, keys) of every attention that runs."""
    seen: list[tuple[int, int]] = []
    real = torch.nn.functional.scaled_dot_product_attention

    def watched(query: Any, key: Any, *arguments: Any, **settings: Any) -> Any:
        seen.append((query.shape[-2], key.shape[-2]))
        return real(query, key, *arguments, **settings)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", watched)
    return seen


def steps(step: Step, count: int) -> Iterator[Any]:
    for _ in range(count):
        step.reset()
        yield step.run()


@pytest.mark.parametrize(("batch", "length"), [(1, 1), (2, 37), (8, 128)])
def test_inputs_are_as_long_as_they_claim(spec: ModelSpec, batch: int, length: int) -> None:
    one = case(f"prefill-b{batch}-p{length}")
    ids = input_ids(spec, one, CpuDevice(), length=length)

    assert tuple(ids.shape) == (batch, length)
    assert ids.dtype == torch.int64
    assert ids.min() >= 0
    assert ids.max() < VOCABULARY
    assert torch.equal(ids, input_ids(spec, one, CpuDevice(), length=length))


def test_inputs_are_random_and_reach_the_whole_vocabulary(spec: ModelSpec) -> None:
    ids = input_ids(spec, case("prefill-b8-p2048"), CpuDevice(), length=2048)

    assert len(ids.unique()) > 0.99 * VOCABULARY
    assert not torch.equal(ids[0], ids[1])


def test_a_prefill_starts_from_an_empty_cache_each_time(
    model: Any, spec: ModelSpec, attended: list[tuple[int, int]]
) -> None:
    watched = Watched(model)
    outputs = list(steps(prepare(watched, spec, case("prefill-b2-p37"), CpuDevice()), 3))

    assert [p["cached"] for p in watched.passes] == [0, 0, 0]
    assert [p["cached after"] for p in watched.passes] == [37, 37, 37]
    assert [tuple(p["ids"].shape) for p in watched.passes] == [(2, 37)] * 3
    assert attended == [(37, 37)] * 3 * LAYERS
    assert torch.equal(outputs[0], outputs[2])


def test_a_prefill_that_is_not_reset_would_be_seen(model: Any, spec: ModelSpec) -> None:
    """The test above stands on this: a cache does grow."""
    watched = Watched(model)
    step = prepare(watched, spec, case("prefill-b1-p5"), CpuDevice())
    step.reset()
    step.run()
    step.run()

    assert [p["cached"] for p in watched.passes] == [0, 5]


@pytest.mark.parametrize(("batch", "length"), [(1, 1), (1, 128), (2, 37)])
def test_a_decode_step_attends_to_its_context_each_time(
    model: Any, spec: ModelSpec, attended: list[tuple[int, int]], batch: int, length: int
) -> None:
    """`length` cached tokens and the new one; the filled cache stays as it was."""
    watched = Watched(model)
    outputs = list(steps(prepare(watched, spec, case(f"decode-b{batch}-c{length}"), CpuDevice()), 4))

    assert [p["cached"] for p in watched.passes] == [length] * 4
    assert [p["cached after"] for p in watched.passes] == [length + 1] * 4
    assert [tuple(p["ids"].shape) for p in watched.passes] == [(batch, 1)] * 4
    assert attended == [(1, length + 1)] * 4 * LAYERS
    first = watched.passes[0]
    for later in watched.passes[1:]:
        assert torch.equal(later["keys"], first["keys"])
        assert torch.equal(later["values"], first["values"])
    assert torch.equal(outputs[0], outputs[3])


def test_the_filled_cache_has_the_shape_and_noise_of_a_real_one(model: Any, spec: ModelSpec) -> None:
    watched = Watched(model)
    list(steps(prepare(watched, spec, case("decode-b2-c64"), CpuDevice()), 1))
    keys, values = watched.passes[0]["keys"], watched.passes[0]["values"]

    attention = spec.attention
    assert tuple(keys.shape) == (2, attention.cached_heads, 64, attention.d_qk)
    assert tuple(values.shape) == (2, attention.cached_heads, 64, attention.d_v)
    assert keys.dtype == model.dtype
    assert keys.std().item() == pytest.approx(1, rel=0.05)
    assert not torch.equal(keys, values)


def test_decode_gives_what_a_prefill_would(
    model: Any, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a prompt's own cache in place of the random one, decode continues that
    prompt: positions and mask are right."""
    ids = torch.arange(1, 12)[None]

    def prompt_cache(*_: Any) -> Any:
        with torch.inference_mode():
            return model(ids[:, :-1], use_cache=True).past_key_values

    monkeypatch.setattr(eager, "filled_cache", prompt_cache)
    monkeypatch.setattr(eager, "input_ids", lambda *_, **__: ids[:, -1:])
    (decoded,) = steps(prepare(model, spec, case("decode-b1-c10"), CpuDevice()), 1)
    with torch.inference_mode():
        whole = model(ids).logits[:, -1:]

    torch.testing.assert_close(decoded, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case_id", ["prefill-b2-p37", "decode-b2-c37"])
def test_logits_are_those_of_the_last_position(model: Any, spec: ModelSpec, case_id: str) -> None:
    """As generate() asks for: logits of a whole prompt would be extra work."""
    (logits,) = steps(prepare(model, spec, case(case_id), CpuDevice()), 1)

    assert tuple(logits.shape) == (2, 1, VOCABULARY)


@pytest.mark.parametrize("case_id", ["prefill-b2-p8", "decode-b2-c8", "generate-b2-p8-n4"])
def test_equal_steps_have_equal_tokens(model: Any, spec: ModelSpec, case_id: str) -> None:
    step = prepare(model, spec, case(case_id), CpuDevice())
    first, second = (step.tokens(output) for output in steps(step, 2))

    assert first == second
    assert first.produced == (case(case_id).output_len or 1)


def test_other_tokens_have_another_digest() -> None:
    logits = torch.zeros(2, 1, VOCABULARY)
    logits[:, 0, 5] = 1
    other = logits.clone()
    other[1, 0, 6] = 2

    assert next_tokens(logits).digest != next_tokens(other).digest
    assert next_tokens(logits) == next_tokens(logits.clone())


@pytest.fixture
def stopping(model: Any) -> Iterator[Any]:
    """The model, whose own settings end a sequence at whatever token comes."""
    kept = model.generation_config
    model.generation_config = type(kept)(eos_token_id=list(range(VOCABULARY)), pad_token_id=0)
    yield model
    model.generation_config = kept


def test_generate_makes_all_its_tokens_past_any_end_of_sequence(stopping: Any, spec: ModelSpec) -> None:
    ids = torch.arange(1, 9)[None]
    stopped = stopping.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, do_sample=False)
    assert stopped.shape[1] == 9, "the model does not stop early, so this test could not fail"

    step = prepare(stopping, spec, case("generate-b2-p8-n6"), CpuDevice())
    outputs = list(steps(step, 2))

    assert [tuple(o.shape) for o in outputs] == [(2, 14)] * 2
    assert step.tokens(outputs[0]).produced == 6


def test_generate_runs_one_prefill_and_then_single_tokens(
    model: Any, spec: ModelSpec, attended: list[tuple[int, int]]
) -> None:
    list(steps(prepare(model, spec, case("generate-b1-p8-n4"), CpuDevice()), 1))

    assert attended[::LAYERS] == [(8, 8), (1, 9), (1, 10), (1, 11)]


def test_the_first_token_is_timed_once_per_call_and_within_it(model: Any, spec: ModelSpec) -> None:
    from time import perf_counter

    step = prepare(model, spec, case("generate-b1-p8-n8"), CpuDevice())
    assert step.first_token_s is not None
    walls = []
    for number in range(1, 4):
        step.reset()
        start = perf_counter()
        step.run()
        walls.append(perf_counter() - start)
        assert len(step.first_token_s()) == number
    firsts = step.first_token_s()

    assert all(0 < first < wall for first, wall in zip(firsts, walls, strict=True))


def test_steps_other_than_generate_time_no_first_token(model: Any, spec: ModelSpec) -> None:
    for case_id in ("prefill-b1-p8", "decode-b1-c8"):
        assert prepare(model, spec, case(case_id), CpuDevice()).first_token_s is None


def test_a_sliding_window_is_the_models_own(tmp_path: Path) -> None:
    """A decode step past the window attends to no more than the window."""
    config = CONFIG | {"sliding_window": 16}
    source = random_source(str(write_config(tmp_path / "window", sliding_window=16)))
    watched = Watched(build(config, find_precision("fp32"), "cpu").eval())
    list(steps(prepare(watched, source.spec, case("decode-b1-c40"), CpuDevice()), 2))

    assert [p["keys"].shape[-2] for p in watched.passes] == [source.spec.attention.cached_tokens(40)] * 2
