"""Files that nobody should have written: each is refused in one line that names it and
says why, or is read as what it says. Nothing else is raised, and nothing hangs."""

import json
import os
import random
import re
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytic import Case, SpecError
from baselines import codec
from baselines.__main__ import main
from baselines.codec import FormatError, read, to_json
from baselines.files import MOST_BYTES, read_bytes
from baselines.record import SCHEMA, Record
from baselines.run import RunFolder, RunInfo
from baselines.store import Baseline, Store, baseline_of
from perf_tests.selftests.records import DECODE, MODEL, conditions, record, refusal, run_folder, run_info
from perf_tests.selftests.refreshes import session
from perf_tests.selftests.test_codec import FULL, FULL_BASELINE, INFO, PLAIN, VERDICTS
from perf_tests.selftests.tiny import ROOT

WHEN = "2026-11-22T12:00:00+00:00"

OLD = [
    json.loads((Path(__file__).with_name(f"record_schema_{n}.json")).read_text(encoding="utf-8"))
    for n in range(1, SCHEMA)
]
COMMITTED = [
    json.loads(path.read_text(encoding="utf-8"))
    for path in (ROOT / "baselines" / "data").glob(f"h100-sxm/*/{DECODE}.json")
]
# Good files of every kind, and of every schema.
GOOD: list[tuple[type, Any]] = [
    *((type(value), to_json(value)) for value in (PLAIN, FULL, FULL_BASELINE, INFO, VERDICTS)),
    *((Baseline, committed) for committed in COMMITTED),
    *((Record, old) for old in OLD),
]


def file(folder: Path, content: bytes | str) -> Path:
    path = folder / "bad.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def with_text(old: str, new: str, data: Any = None) -> str:
    """The text of a good file with one thing in it replaced."""
    text = json.dumps(to_json(PLAIN) if data is None else data)
    assert text.count(old) >= 1
    return text.replace(old, new, 1)


class TestNoPlainFile:
    def test_a_link(self, tmp_path: Path) -> None:
        codec.write(PLAIN, tmp_path / "good.json")
        link = tmp_path / "link.json"
        link.symlink_to("good.json")

        assert refusal(Record, link) == "cannot be read: it is a symbolic link; a plain file is needed"

    def test_a_link_in_a_circle(self, tmp_path: Path) -> None:
        link = tmp_path / "link.json"
        link.symlink_to(link)

        assert "it is a symbolic link" in refusal(Record, link)

    def test_a_folder(self, tmp_path: Path) -> None:
        assert refusal(Record, tmp_path) == "cannot be read: it is a folder; a plain file is needed"

    def test_a_pipe_keeps_nobody_waiting(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.json")

        assert refusal(Record, tmp_path / "pipe.json") == (
            "cannot be read: it is no plain file; a plain file is needed"
        )

    def test_a_socket(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)  # the path of a socket is short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket.json")

            assert refusal(Record, Path("socket.json")).startswith("cannot be read: ")

    @pytest.mark.parametrize("device", ["/dev/zero", "/dev/full"])
    def test_a_device(self, device: str) -> None:
        assert "it is no plain file" in refusal(Record, Path(device))

    @pytest.mark.parametrize("name", ["a\0b.json", "x" * 300 + ".json", "none.json", "none/none.json"])
    def test_a_path_that_is_none(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(FormatError, match="cannot be read: "):
            read(Record, tmp_path / name)


class TestSize:
    def test_100_mb_are_refused_unread(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "large.json"
        with path.open("wb") as sparse:
            sparse.truncate(100 * 2**20)
        monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("it was read"))

        assert refusal(Record, path) == (
            "cannot be read: it has 104,857,600 bytes; 8,000,000 are the most of any stored file"
        )

    def test_one_byte_too_many(self, tmp_path: Path) -> None:
        path = tmp_path / "full.json"
        text = json.dumps(to_json(PLAIN)).encode()
        path.write_bytes(text + b" " * (MOST_BYTES - len(text)))

        assert read(Record, path) == PLAIN
        with path.open("ab") as more:
            more.write(b" ")
        assert "it has 8,000,001 bytes" in refusal(Record, path)

    def test_a_file_that_does_not_know_its_size(self) -> None:
        """Those of /proc say 0."""
        assert b"Name:" in read_bytes(Path("/proc/self/status"))

    def test_what_is_committed_is_far_smaller(self) -> None:
        sizes = [p.stat().st_size for p in (ROOT / "baselines" / "data").rglob("*.json")]

        assert 200 * max(sizes) < MOST_BYTES


# What is in a file, and what is said of it.
BAD_TEXTS: list[tuple[str, bytes | str, str]] = [
    ("empty", "", "not JSON, or cut short: "),
    ("a NUL", b"\0", "not JSON, or cut short: "),
    ("NULs as a crash of the machine leaves them", b"\0" * 4096, "not JSON, or cut short: "),
    (
        "NULs behind the file",
        json.dumps(to_json(PLAIN)).encode() + b"\0\0",
        "not JSON, or cut short: Extra data",
    ),
    ("a NUL in a text", with_text(MODEL, "mistral\0"), "not JSON, or cut short: Invalid control character"),
    ("not UTF-8", b'{"schema": 1, "\xff": 2}', "cannot be read: 'utf-8' codec can't decode byte 0xff"),
    (
        "UTF-16",
        json.dumps({"schema": 1}).encode("utf-16"),
        "cannot be read: 'utf-8' codec can't decode byte 0xff",
    ),
    ("UTF-32 without a mark", json.dumps({"schema": 1}).encode("utf-32-le"), "not JSON, or cut short: "),
    (
        "a byte order mark",
        b"\xef\xbb\xbf" + json.dumps(to_json(PLAIN)).encode(),
        "not JSON: it begins with a byte order mark; UTF-8 without one is needed",
    ),
    ("an overlong form", b'{"\xc0\xaf": 1}', "cannot be read: 'utf-8' codec can't decode byte 0xc0"),
    ("two values", "{}{}", "not JSON, or cut short: Extra data"),
    ("a comment", "// {}\n{}", "not JSON, or cut short: "),
    ("nested without end", "[" * 200_000, "not JSON, or cut short: "),
    ("objects nested without end", '{"a":' * 200_000, "not JSON, or cut short: "),
    (
        "a key twice",
        with_text('"dirty": false', '"dirty": false, "dirty": true'),
        ".dirty: there twice; once is needed",
    ),
    (
        "a key twice, with one value",
        with_text(f'"schema": {SCHEMA}', f'"schema": {SCHEMA}, "schema": {SCHEMA}'),
        ".schema: there twice; once is needed",
    ),
    (
        "a key twice, deep in it",
        with_text('"d_ff": 14336', '"d_ff": 14336, "d_ff": 1'),
        ".model.stacks[0].layer.mlp.d_ff: there twice; once is needed",
    ),
    (
        "keys twice within what is there twice",
        '{"a": {"b": 1, "b": 2}, "a": 3}',
        ".a: there twice; once is needed",
    ),
    ("a key twice, one escaped", '{"schema": 1, "sch\\u0065ma": 2}', ".schema: there twice; once is needed"),
    (
        "a key twice that would break the line",
        '{"a\\nb\\u001b[2J": 1, "a\\nb\\u001b[2J": 2}',
        ".'a\\nb\\x1b[2J': there twice; once is needed",
    ),
    (
        "an unknown key that would break the line",
        with_text('"dirty"', '"a\\nb"'),
        ".'a\\nb': no such field in Record",
    ),
    (
        "an unknown key of 100 kB",
        with_text('"dirty"', f'"{"k" * 100_000}"'),
        f".'{'k' * 40}': no such field in Record",
    ),
    ("NaN", with_text("0.0078", "NaN"), ".measurement.device_s[0]: 'nan' (float) is not a finite number"),
    (
        "-Infinity",
        with_text("0.0078", "-Infinity"),
        ".measurement.device_s[0]: '-inf' (float) is not a finite number",
    ),
    ("1e999", with_text("0.0078", "1e999"), ".measurement.device_s[0]: 'inf' (float) is not a finite number"),
    (
        "a negative time",
        with_text("0.0078", "-0.0078"),
        ".measurement: device_s holds -0.0078 s; a time is positive",
    ),
    ("a time of 0", with_text("0.0078", "-0.0"), ".measurement: device_s holds -0.0 s; a time is positive"),
    (
        "a negative warm-up",
        with_text('"warmup_s": [0.08]', '"warmup_s": [-1]'),
        ".measurement: warmup_s holds -1.0; none is below zero",
    ),
    (
        "a negative preparation",
        with_text('"prepare_s": 0.5', '"prepare_s": -0.5'),
        ".measurement: prepare_s holds -0.5; none is below zero",
    ),
    (
        "a negative time of a kernel",
        with_text("1e-06", "-1e-06", to_json(FULL)),
        ".measurement.kernels[0]: device_s holds -1e-06; none is below zero",
    ),
    (
        "a negative time in which the clock was held down",
        with_text('"sw_power_cap": 0.3', '"sw_power_cap": -0.3', to_json(FULL)),
        ".measurement.conditions: slowed_s holds -0.3",
    ),
    (
        "negative counts",
        with_text('"launches": 12', '"launches": -12', to_json(FULL)),
        ".measurement.counts: launches holds -12; none is below zero",
    ),
    (
        "an integer of endless digits",
        with_text("0.0078", "9" * 5000),
        "not JSON, or cut short: an integer of 5000 digits; 1000 are the most",
    ),
    (
        "an integer of 400 digits for a time",
        with_text("0.0078", "9" * 400),
        f".measurement.device_s[0]: '{'9' * 40}' (int) is not a finite number",
    ),
    (
        "an integer beyond 64 bits",
        with_text('"batch": 1', f'"batch": {2**63}'),
        ".case.batch: an integer of 64 bits is needed, not '9223372036854775808' (int)",
    ),
    (
        "a boolean for a number",
        with_text('"batch": 1', '"batch": true'),
        ".case.batch: int is needed, not 'True' (bool)",
    ),
    (
        "a text for a number",
        with_text('"batch": 1', '"batch": "1"'),
        ".case.batch: int is needed, not '1' (str)",
    ),
    ("a number for a text", with_text('"run": "', '"run": 7, "x": "'), ".x: no such field in Record"),
    (
        "half a surrogate pair",
        with_text('"host-a"', '"\\ud800"'),
        ".soft.host: '\\ud800' (str) holds half a surrogate pair; whole characters are needed",
    ),
    (
        "a future schema",
        with_text(f'"schema": {SCHEMA}', f'"schema": {SCHEMA + 1}'),
        f"schema {SCHEMA + 1} is newer than this Roofgate reads ({SCHEMA})",
    ),
    ("schema 0", with_text(f'"schema": {SCHEMA}', '"schema": 0'), "schema 0 never existed"),
    ("a schema of 999 digits", with_text(f'"schema": {SCHEMA}', f'"schema": {"9" * 999}'), "schema 999"),
    (
        "a case of an engine that would climb out",
        with_text('"engine": "eager"', '"engine": "../../x"'),
        ".case: engine '../../x' is no name",
    ),
]


@pytest.mark.parametrize(
    ("content", "said"), [row[1:] for row in BAD_TEXTS], ids=[row[0] for row in BAD_TEXTS]
)
def test_a_bad_text_is_refused_by_name(content: bytes | str, said: str, tmp_path: Path) -> None:
    assert refusal(Record, file(tmp_path, content)).startswith(said)


def test_a_key_twice_in_the_keys_of_a_mapping(tmp_path: Path) -> None:
    text = with_text('"profiling": 1.25', '"profiling": 1.25, "profiling": 2', to_json(INFO))

    assert refusal(RunInfo, file(tmp_path, text)) == ".spent_s.profiling: there twice; once is needed"


def test_a_negative_time_of_a_run(tmp_path: Path) -> None:
    text = with_text('"profiling": 1.25', '"profiling": -1', to_json(INFO))

    assert refusal(RunInfo, file(tmp_path, text)) == "RunInfo: spent_s holds -1.0; none is below zero"


def test_a_key_that_is_no_text(tmp_path: Path) -> None:
    text = with_text('"profiling": 1.25', '"\\ud800": 1', to_json(INFO))

    assert "half a surrogate pair" in refusal(RunInfo, file(tmp_path, text))


# --- Mutations: bytes of good files, values in them, keys of them.

# What stands in the place of a value.
_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(10**500), max_value=10**500),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["", "..", "../../x", "/etc/passwd", "\0", "\ud800", "eager", "fp16", "cpu", -1, 0, 1e308, 5e-324]
    ),
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(data: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a piece of JSON."""
    keys = list(data) if isinstance(data, dict) else list(range(len(data)) if isinstance(data, list) else ())
    return [(data, key) for key in keys] + [place for key in keys for place in places(data[key])]


@st.composite
def mutated_values(draw: st.DrawFn) -> tuple[type, bytes]:
    """A good file in which up to three values were replaced, taken away or put twice."""
    kind, good = draw(st.sampled_from(GOOD))
    data = json.loads(json.dumps(good))
    for _ in range(draw(st.integers(1, 3))):
        holder, key = draw(st.sampled_from(places(data) or [({}, "")]))
        what = draw(st.sampled_from(["replace", "replace", "replace", "remove", "add"]))
        if what == "replace" or not holder:
            holder[key] = draw(_VALUES)
        elif what == "remove":
            del holder[key]
        elif isinstance(holder, dict):
            holder[draw(st.text(max_size=10))] = draw(_VALUES)
        else:
            holder.append(draw(_VALUES))
    return kind, json.dumps(data).encode()


@st.composite
def mutated_bytes(draw: st.DrawFn) -> tuple[type, bytes]:
    """A good file in which bytes were flipped, cut, doubled or put in."""
    kind, good = draw(st.sampled_from(GOOD))
    text = json.dumps(good).encode()
    start = draw(st.integers(0, len(text)))
    end = min(len(text), start + draw(st.integers(0, 40)))
    put = draw(st.one_of(st.binary(max_size=8), st.just(text[start:end] * 2), st.just(b"")))
    return kind, text[:start] + put + text[end:]


def refuses(kind: type, content: bytes, folder: Path) -> bool:
    """Whether FormatError says so by name; else the value is written and read as the same."""
    path = file(folder, content)
    try:
        value = read(kind, path)
    except FormatError as error:
        message = str(error)
        assert message.startswith(f"{path}: ")
        assert message.removeprefix(f"{path}: ").isprintable()
        assert len(message) < len(str(path)) + 600
        return True
    codec.write(value, folder / "again.json")
    assert read(kind, folder / "again.json") == value
    return False


def refused_of(strategy: st.SearchStrategy[tuple[type, bytes]], folder: Path, *, examples: int) -> int:
    """How many of so many files are refused; the same files each time."""
    refused = []

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(mutated=strategy)
    def each(mutated: tuple[type, bytes]) -> None:
        refused.append(refuses(*mutated, folder))

    each()
    return sum(refused)


def test_files_with_other_values(tmp_path: Path) -> None:
    assert refused_of(mutated_values(), tmp_path, examples=600) > 550


def test_files_with_other_bytes(tmp_path: Path) -> None:
    assert refused_of(mutated_bytes(), tmp_path, examples=600) > 380


# What maps names to numbers may lack any of them.
_MAPPINGS = ("gemm_flops_per_s", "slowed_s", "spent_s")


@pytest.mark.parametrize("kind", [Record, Baseline, RunInfo])
def test_no_field_can_be_done_without_wherever_it_lies(kind: type, tmp_path: Path) -> None:
    good = next(value for of, value in reversed(GOOD[:4]) if of is kind)
    mappings = [id(holder[key]) for holder, key in places(good) if key in _MAPPINGS]
    fields = [
        number
        for number, (holder, _) in enumerate(places(good))
        if isinstance(holder, dict) and id(holder) not in mappings
    ]

    assert len(fields) > 30
    for number in fields:
        data = json.loads(json.dumps(good))
        holder, key = places(data)[number]
        del holder[key]
        said = refusal(kind, file(tmp_path, json.dumps(data)))
        assert f".{key}: missing" in said or (key == "schema" and said.startswith("no schema number"))


class TestNames:
    """A path that climbs out of the store is made by no name."""

    @pytest.mark.parametrize(
        ("name", "why"),
        [
            ("", "it is empty"),
            (".", "it begins with a dot"),
            ("..", "it begins with a dot"),
            (".hidden", "it begins with a dot"),
            ("../../etc", "it begins with a dot"),
            ("/etc", "it holds a slash"),
            ("a/../../b", "it holds a slash"),
            ("a/b", "it holds a slash"),
            ("a\0b", "it holds a slash or what cannot be printed"),
            ("a\nb", "it holds a slash or what cannot be printed"),
            ("a\x1b[2J", "it holds a slash or what cannot be printed"),
            ("\ud800", "it holds a slash or what cannot be printed"),
            ("m" * 201, "it has 201 bytes, and 200 are the most"),
            ("ü" * 101, "it has 202 bytes, and 200 are the most"),
        ],
    )
    @pytest.mark.parametrize("field", ["gpu", "model"])
    def test_it_is_refused_for_reading_and_for_writing(
        self, field: str, name: str, why: str, tmp_path: Path
    ) -> None:
        one = (
            replace(PLAIN, gpu=name)
            if field == "gpu"
            else replace(PLAIN, case=replace(PLAIN.case, model=name))
        )
        what = {"gpu": "GPU", "model": "model"}[field]
        said = re.escape(f"{what} {name[:40]!r} names no file or folder: {why}")
        store, folder = Store(tmp_path / "store"), RunFolder(tmp_path / "run")

        for refused in (
            lambda: store.path(one),
            lambda: store.load(one),
            lambda: store.suite(one),
            lambda: store.write([one], written=WHEN, command="a test"),
            lambda: store.put([baseline_of([one], written=WHEN, command="a test")]),
            lambda: folder.write_record(one),
        ):
            with pytest.raises(FormatError, match=said):
                refused()
        assert [p.name for p in tmp_path.rglob("*") if p.name not in ("store", ".lock")] == []

    def test_a_case_whose_engine_has_a_long_name(self, tmp_path: Path) -> None:
        one = replace(PLAIN, case=replace(PLAIN.case, engine="e" * 300))

        with pytest.raises(
            FormatError, match=r"case 'decode-b1-c512-fp16-e+' names no file or folder: it has 3"
        ):
            RunFolder(tmp_path).write_record(one)
        assert list(tmp_path.iterdir()) == []

    def test_a_record_from_elsewhere_is_refused_with_its_file(self, tmp_path: Path) -> None:
        folder = run_folder(tmp_path / "run", [PLAIN])
        path = folder.path / "records" / f"{DECODE}.json"
        path.write_text(with_text('"gpu": "h100-sxm"', '"gpu": "../../../x"'), encoding="utf-8")

        with pytest.raises(FormatError, match=re.escape(f"{path}: GPU '../../../x' names no file or folder")):
            folder.records()

    def test_a_run_is_not_started_with_a_model_of_such_a_name(self, tmp_path: Path) -> None:
        info = run_info([replace(PLAIN, case=replace(PLAIN.case, model=".cache"))])

        with pytest.raises(
            FormatError, match=r"model '\.cache' names no file or folder: it begins with a dot"
        ):
            RunFolder(tmp_path / "run").start(info)
        assert list(tmp_path.iterdir()) == []

    def test_names_as_people_give_them(self, tmp_path: Path) -> None:
        model = "Mistral 7B (ü), v0.2_" + "m" * 150
        one = replace(PLAIN, case=replace(PLAIN.case, model=model))
        path = Store(tmp_path).write([one], written=WHEN, command="a test")

        assert path.relative_to(tmp_path).as_posix() == f"h100-sxm/{model}/{DECODE}.json"
        assert Store(tmp_path).load(one) is not None

    @pytest.mark.parametrize("level", ["h100-sxm", f"h100-sxm/{MODEL}"])
    def test_a_folder_of_the_store_that_is_a_link(self, level: str, tmp_path: Path) -> None:
        store, outside = Store(tmp_path / "store"), tmp_path / "outside"
        outside.mkdir()
        link = store.root / level
        link.parent.mkdir(parents=True)
        link.symlink_to(outside)
        said = re.escape(f"{link} is a symbolic link; a folder in the store is needed")

        with pytest.raises(FormatError, match=said):
            store.load(PLAIN)
        with pytest.raises(FormatError, match=said):
            store.write([PLAIN], written=WHEN, command="a test")
        assert list(outside.iterdir()) == []

    @pytest.mark.parametrize("to", ["nowhere.json", "../../../outside.json"])
    def test_a_baseline_that_is_a_link_is_not_overwritten(self, to: str, tmp_path: Path) -> None:
        (tmp_path / "outside.json").write_text("mine", encoding="utf-8")
        store = Store(tmp_path / "store")
        path = store.path(PLAIN)
        path.parent.mkdir(parents=True)
        path.symlink_to(to)

        with pytest.raises(FormatError, match="it is a symbolic link; a plain file is needed"):
            store.write([PLAIN], written=WHEN, command="a test")
        assert path.is_symlink()
        assert (tmp_path / "outside.json").read_text(encoding="utf-8") == "mine"

    def test_the_store_itself_may_be_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "store").symlink_to("elsewhere")
        Store(tmp_path / "store").write([PLAIN], written=WHEN, command="a test")

        assert Store(tmp_path / "elsewhere").load(PLAIN) is not None

    def test_verdicts_that_are_a_link_to_nowhere_are_not_taken_for_none(self, tmp_path: Path) -> None:
        folder = run_folder(tmp_path, [PLAIN])
        (tmp_path / "verdicts.json").symlink_to("nowhere.json")

        with pytest.raises(FormatError, match="it is a symbolic link"):
            folder.verdicts()

    @pytest.mark.parametrize("digits", ["9" * 20, "9" * 5000, "٣"])
    def test_an_id_with_such_a_batch_is_no_id(self, digits: str) -> None:
        with pytest.raises(SpecError, match="is not of the form"):
            Case.parse(f"decode-b{digits}-c512-fp16-eager", model=MODEL)


# --- The command line: exit code 2 and one line, whatever was given to it.


def refresh(capsys: pytest.CaptureFixture[str], store: Path, run: Path) -> tuple[int, list[str]]:
    code = main(["refresh", "--from", str(run), "--perf-baselines", str(store)])
    out, err = capsys.readouterr()
    return code, (out + err).splitlines()


def passed(path: Path) -> RunFolder:
    def seen(one: Record) -> Record:
        return replace(one, measurement=replace(one.measurement, conditions=conditions()))

    return session(path, cases=[DECODE], change=seen)


# The same, as bad files that a refresh comes upon: (file of the run, or of the store).
PLACES: dict[str, Callable[[Path, Path], Path]] = {
    "record": lambda run, _: run / "records" / f"{DECODE}.json",
    "run": lambda run, _: run / "run.json",
    "verdicts": lambda run, _: run / "verdicts.json",
    "baseline": lambda _, store: store / "h100-sxm" / MODEL / f"{DECODE}.json",
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "content",
    [row[1] for row in BAD_TEXTS[:23]],
    ids=[row[0] for row in BAD_TEXTS[:23]],
)
def test_the_command_says_it_in_one_line(
    place: str, content: bytes | str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "store")
    store.write([record(DECODE)], written=WHEN, command="a test")
    path = PLACES[place](passed(tmp_path / "run").path, store.root)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = PLACES["baseline"](path, store.root).read_bytes()

    code, (line,) = refresh(capsys, store.root, tmp_path / "run")

    assert code == 2
    assert line.startswith(f"error: {path}: ")
    assert PLACES["baseline"](path, store.root).read_bytes() == before


def test_a_baseline_of_another_case_is_named_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Store(tmp_path / "store").write([record(DECODE)], written=WHEN, command="a test")
    path.write_text(path.read_text(encoding="utf-8").replace(DECODE, "a\\nb\\u001b[2J"), encoding="utf-8")
    code, (line,) = refresh(capsys, tmp_path / "store", passed(tmp_path / "run").path)

    assert code == 2
    assert f"{path}: holds a\\nb\\x1b[2J of {MODEL} of h100-sxm, not {DECODE} of " in line


@pytest.mark.parametrize("place", PLACES)
def test_the_command_and_files_of_random_damage(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused in one line, or, where a digit of a time was hit, stored."""
    dice = random.Random(place)  # noqa: S311 - the same damage each time
    run = passed(tmp_path / "run").path
    for number in range(25):
        store = Store(tmp_path / f"store-{number}")
        store.write([record(DECODE)], written=WHEN, command="a test")
        path = PLACES[place](run, store.root)
        good = path.read_bytes()
        damaged = bytearray(good)
        for _ in range(dice.randint(1, 3)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        path.write_bytes(damaged)
        code, lines = refresh(capsys, store.root, run)
        path.write_bytes(good) if place != "baseline" else None

        assert code in (0, 1, 2)
        if code:
            assert len(lines) == 1
            assert lines[0].startswith(("error: ", "refused: "))


def test_a_pipe_in_the_place_of_a_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = PLACES["record"](passed(tmp_path / "run").path, tmp_path)
    path.unlink()
    os.mkfifo(path)
    code, (line,) = refresh(capsys, tmp_path / "store", tmp_path / "run")

    assert (code, line) == (2, f"error: {path}: cannot be read: it is no plain file; a plain file is needed")
    assert not (tmp_path / "store").exists()
