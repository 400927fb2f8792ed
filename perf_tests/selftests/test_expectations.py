"""The bands that Roofgate ships, and what is said of a file that is none."""

from pathlib import Path

import pytest

from analytic import Case, registry
from baselines.codec import FormatError
from baselines.expectations import Band, bands, find_band, read_bands
from perf_tests.cases import lane_cases

GOOD = """\
[[band]]
gpu = "t4"
model = "mistral-7b-*"
cases = "decode-b1-*-fp16-eager"
metric = "lower_s/device_s"
low = 0.5
high = 1
reason = "streams"
source = "a test"
"""
SCALING = lane_cases("gpu", file=Path(__file__).parents[1] / "scaling_cases.toml")
DECODE = Case.parse("decode-b1-c512-fp16-eager", model="mistral-7b-v0.1")


def band(cases: str = "decode-*", *, gpu: str = "t4", model: str = "mistral-7b-*") -> Band:
    return Band(
        gpu=gpu,
        model=model,
        cases=cases,
        metric="lower_s/wall_s",
        low=0.1,
        high=0.2,
        reason="a test",
        source="a test",
    )


def written(folder: Path, text: str) -> Path:
    path = folder / "bands.toml"
    path.write_text(text, encoding="utf-8")
    return path


class TestShipped:
    @pytest.mark.parametrize(
        ("cases", "gpu", "count"),
        [
            (lane_cases("gpu"), "h100-sxm", 32),
            (lane_cases("gpu"), "t4", 32),
            (lane_cases("cpu"), "cpu", 12),
            (SCALING, "h100-sxm", 21),
        ],
        ids=["gpu lane, h100", "gpu lane, t4", "cpu lane", "scaling, h100"],
    )
    def test_every_case_has_exactly_one_band(self, cases: tuple[Case, ...], gpu: str, count: int) -> None:
        covering = {c.id: [b.cases for b in bands() if b.covers(gpu, c)] for c in cases}

        assert len(covering) == count
        assert {case: found for case, found in covering.items() if len(found) != 1} == {}

    def test_no_band_of_the_lanes_gpus_is_idle(self) -> None:
        """Each covers a default or a scaling case: a pattern with a slip in it covers none."""
        cases = [*lane_cases("gpu"), *lane_cases("cpu"), *SCALING]

        assert [(b.gpu, b.cases) for b in bands() if not any(b.covers(b.gpu, c) for c in cases)] == []

    def test_bands_over_device_time_are_tight(self) -> None:
        tight = [b for b in bands() if b.metric == "lower_s/device_s"]

        assert len(tight) == 18
        assert [(b.gpu, b.cases) for b in tight if b.high / b.low > 1.5] == []

    def test_nothing_on_a_gpu_beats_its_datasheet(self) -> None:
        assert [(b.gpu, b.cases) for b in bands() if b.gpu != "cpu" and b.high > 1] == []

    def test_only_the_t4_rests_on_published_figures(self) -> None:
        assert {b.gpu for b in bands() if b.published} == {"t4"}
        assert [b.cases for b in bands() if b.gpu == "t4" and not b.published] == []

    def test_every_gpu_is_in_the_registry(self) -> None:
        assert {b.gpu for b in bands()} <= {"cpu", *(gpu.key for gpu in registry())}

    def test_every_band_gives_its_reason_and_source(self) -> None:
        assert [(b.gpu, b.cases) for b in bands() if not b.reason.strip() or not b.source.strip()] == []


class TestFind:
    @pytest.mark.parametrize(
        ("one", "covers"),
        [
            (band(), True),
            (band(gpu="l4"), False),
            (band(model="mistral-7b-v0.1"), True),
            (band(model="mistral-7b"), False),
            (band("decode-b1-c512-fp16-eager"), True),
            (band("decode-b1-c512"), False),
            (band("DECODE-*"), False),
            (band("prefill-*"), False),
        ],
    )
    def test_gpu_model_and_case_must_all_match(self, *, one: Band, covers: bool) -> None:
        assert find_band([one], gpu="t4", case=DECODE) == (one if covers else None)

    def test_no_band_is_none(self) -> None:
        assert find_band([], gpu="t4", case=DECODE) is None

    def test_two_bands_over_one_case_are_an_error_that_names_both(self) -> None:
        rows = [band("decode-b1-*"), band("prefill-*"), band("decode-*-fp16-eager")]

        with pytest.raises(
            FormatError,
            match=(
                r"two bands cover decode-b1-c512-fp16-eager of mistral-7b-v0\.1 on t4: "
                r"'decode-b1-\*', 'decode-\*-fp16-eager'"
            ),
        ):
            find_band(rows, gpu="t4", case=DECODE)


class TestRead:
    def test_a_band_is_read_whole(self, tmp_path: Path) -> None:
        first, second = read_bands(written(tmp_path, GOOD + GOOD + "published = true\n"))

        assert first == Band(
            gpu="t4",
            model="mistral-7b-*",
            cases="decode-b1-*-fp16-eager",
            metric="lower_s/device_s",
            low=0.5,
            high=1.0,
            reason="streams",
            source="a test",
            published=False,
        )
        assert second.published is True

    def test_an_empty_file_has_no_bands(self, tmp_path: Path) -> None:
        assert read_bands(written(tmp_path, "# none yet\n")) == ()

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("reason =", "raison =", "unknown key 'raison'; known: cases, gpu, high, low,"),
            ('source = "a test"\n', "", "source: missing"),
            ('"lower_s/device_s"', '"mfu"', "metric 'mfu' is none of lower_s/device_s, lower_s/wall_s"),
            ("low = 0.5", "low = 1.0", "low 1.0 and high 1.0 make no band"),
            ("low = 0.5", "low = 1.5", "low 1.5 and high 1.0 make no band"),
            ("low = 0.5", "low = 0.0", "low 0.0 and high 1.0 make no band"),
            ("low = 0.5", "low = -0.5", "low -0.5 and high 1.0 make no band"),
            ("low = 0.5", 'low = "0.5"', "low: float is needed, not '0.5' (str)"),
            ("low = 0.5", "low = true", "low: float is needed, not 'True' (bool)"),
            ("low = 0.5", "low = nan", "low: 'nan' (float) is not a finite number"),
            ("high = 1", "high = inf", "high: 'inf' (float) is not a finite number"),
            ('gpu = "t4"', "gpu = 4", "gpu: str is needed, not '4' (int)"),
            (
                'source = "a test"',
                'source = "a test"\npublished = 1',
                "published: bool is needed, not '1' (int)",
            ),
        ],
    )
    def test_a_bad_band_is_named_with_its_file(self, old: str, new: str, said: str, tmp_path: Path) -> None:
        assert old in GOOD
        path = written(tmp_path, GOOD + GOOD.replace(old, new))

        with pytest.raises(FormatError) as refused:
            read_bands(path)
        assert str(refused.value).startswith(f"{path}: band 2")
        assert said in str(refused.value)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (GOOD + "low = ", "Invalid value"),
            (GOOD + "low = 0.6", "Cannot overwrite a value"),
            (GOOD.replace("[[band]]", "[[bands]]"), "[[band]] tables are needed, and nothing else"),
            (GOOD.replace("[[band]]", "[band]"), "[[band]] tables are needed, and nothing else"),
            ("band = 3", "[[band]] tables are needed, and nothing else"),
            ("band = [3]", "band 1: an object is needed, not '3' (int)"),
        ],
    )
    def test_a_file_without_bands_in_it_is_named(self, text: str, said: str, tmp_path: Path) -> None:
        path = written(tmp_path, text)

        with pytest.raises(FormatError) as refused:
            read_bands(path)
        assert str(refused.value).startswith(f"{path}: ")
        assert said in str(refused.value)

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(FormatError, match=r"none\.toml: .*No such file"):
            read_bands(tmp_path / "none.toml")

    def test_a_file_that_is_not_text_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "bands.toml"
        path.write_bytes(b"\xff\xfe\x00")

        with pytest.raises(FormatError, match=r"bands\.toml: "):
            read_bands(path)
