"""The counted DRAM bytes: the promise over the committed table, and the reading of ncu's."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from analytic import Phase, SpecError, find_precision, read_config
from analytic.footprint import resident_weight_bytes
from perf_tests import dram_counters
from perf_tests.dram_comparison import EAGER_TOLERANCE, PROMISED, Compared, Counted, compare, failures
from perf_tests.dram_counters import READ, TABLE, WRITTEN, by_operator, case_ids, provenance_line, read
from perf_tests.dram_steps import cut_config, operator_of

pytestmark = pytest.mark.analytic

ROWS = read()
COMPARED = [compare(rows) for rows in ROWS]
PROMISES = [one for one in COMPARED if one.model in PROMISED]


def test_the_committed_table_is_within_what_is_promised() -> None:
    assert failures(COMPARED) == []


def test_every_promised_case_was_counted() -> None:
    """Two models, two precisions, two batches, a prefill and two decode steps."""
    assert len(PROMISES) == 24
    assert {(one.model, one.case.id) for one in PROMISES} == set(product(PROMISED, case_ids()))


@pytest.mark.parametrize("one", PROMISES, ids=lambda one: f"{one.model}-{one.case.id}")
def test_counted_models_are_far_larger_than_the_cache(one: Compared) -> None:
    """1 GB of weights at least, in an L2 of 0.05 GB, even in 4 bit."""
    spec = read_config(cut_config(one.model, one.layers), name=one.model, source=one.model)

    assert resident_weight_bytes(spec, find_precision(one.case.precision)) >= 1e9
    assert spec.n_layers == one.layers


def test_compulsory_reads_are_never_above_the_counted_ones() -> None:
    """Of other models, too: it is a lower bound."""
    assert {one.case.id: one.ideal_share for one in COMPARED if one.ideal_share > 1} == {}


def test_a_decode_step_of_one_sequence_reads_little_else() -> None:
    single = [one for one in PROMISES if one.case.phase is Phase.DECODE and one.case.batch == 1]

    assert len(single) == 8
    assert min(one.ideal_share for one in single) >= 0.98


def test_predicted_launches_are_the_counted_ones_in_prefill() -> None:
    """Decode adds cuBLAS' split-K reductions, which are not modelled."""
    for one in COMPARED:
        if one.case.phase is Phase.PREFILL:
            assert one.launches == one.eager_launches
        else:
            assert one.launches >= one.eager_launches


def test_the_table_says_where_it_comes_from() -> None:
    line = provenance_line()

    assert line.startswith("gpu h100-sxm, ")
    for field in ("uuid GPU-", "driver ", "torch ", "transformers ", "bitsandbytes ", "ncu ", "commit "):
        assert field in line


def test_operators_cover_what_was_counted() -> None:
    """No operator of a promised model is counted and not predicted, with more than 1 %."""
    for one in PROMISES:
        total = one.read_bytes + one.written_bytes
        assert [
            name for name, counted, predicted in one.operators if not predicted and counted > 0.01 * total
        ] == []


def shifted(rows: Sequence[Counted], factor: float) -> list[Counted]:
    return [replace(row, read_bytes=int(row.read_bytes * factor)) for row in rows]


def single_step() -> list[Counted]:
    return next(rows for rows in ROWS if rows[0].case == "decode-b1-c512-fp16-eager")


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (0.9, ("compulsory reads are 1.1", "above them", "eager traffic is +10.")),
        (1.2, ("compulsory reads are only 0.83", "eager traffic is -17.")),
    ],
)
def test_a_broken_promise_is_named_with_both_numbers(factor: float, words: tuple[str, ...]) -> None:
    said = "\n".join(failures([compare(shifted(single_step(), factor))]))

    assert said.count("mistral-7b-v0.2 decode-b1-c512-fp16-eager: ") == 2
    assert all(word in said for word in words)


def test_other_models_are_shown_and_not_judged() -> None:
    (other, *_) = (rows for rows in ROWS if rows[0].model not in PROMISED)
    wrong = compare(shifted(other, 2.0))

    assert abs(wrong.eager_error) > EAGER_TOLERANCE
    assert failures([wrong]) == []


HEAD = [
    "ID",
    "Kernel Name",
    "thread Domain:Push/Pop_Range:PL_Type:PL_Value:CLR_Type:Color:Msg_Type:Msg",
    READ,
    WRITTEN,
]
IN_CASE = "<default domain>:roofgate-case=prefill-b1-p8-fp16-eager:none"


def page(*kernels: tuple[str, str, str], units: str = "byte") -> list[str]:
    """The raw page of ncu as it prints it: a word first, a line of units, numbers with commas."""
    rows = [HEAD, ["", "", "", units, units], *(["0", "gemm", *kernel] for kernel in kernels)]
    return ["==PROF== Disconnected", *(",".join(f'"{cell}"' for cell in row) for row in rows)]


def inside(*operators: str) -> str:
    return " ".join([IN_CASE, *(f"<default domain>:roofgate-operator={name}:none" for name in operators)])


def test_kernels_are_summed_by_case_and_innermost_operator() -> None:
    counted = by_operator(
        page(
            (inside("model", "q_proj"), "1,024", "64"),
            (inside("model", "q_proj"), "1,000,000", "0"),
            (inside(), "5", "7"),
        ),
        "odd",
        4,
    )

    assert counted == [
        Counted(
            model="odd",
            layers=4,
            case="prefill-b1-p8-fp16-eager",
            operator=operator,
            launches=launches,
            read_bytes=read_bytes,
            written_bytes=written,
        )
        for operator, launches, read_bytes, written in (("q_proj", 2, 1_001_024, 64), ("other", 1, 5, 7))
    ]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (page(("<default domain>:something else:none", "1", "1")), "a kernel outside every case"),
        (page((inside("q_proj"), "1.5", "1"), units="Mbyte"), "ncu counted in Mbyte, not in bytes"),
    ],
    ids=["no case", "units"],
)
def test_a_page_that_cannot_be_summed_is_refused(lines: list[str], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        by_operator(lines, "odd", 4)


@pytest.mark.parametrize(
    ("name", "kind", "operator"),
    [
        ("17", "MistralDecoderLayer", "residual"),
        ("input_layernorm", "MistralRMSNorm", "norms"),
        ("self_attn", "MistralAttention", "attention"),
        ("mlp", "MistralMLP", "act_fn"),
        ("q_proj", "Linear4bit", "q_proj"),
    ],
)
def test_modules_have_the_operators_names(name: str, kind: str, operator: str) -> None:
    assert operator_of(name, kind) == operator


def edited(path: Path, change: Callable[[dict[str, str]], None]) -> Path:
    """The committed table with its rows changed."""
    first, *lines = TABLE.read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(lines))
    for row in rows:
        change(row)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(f"{first}\n")
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_compare_ends_well_on_the_committed_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert dram_counters.main(["compare"]) == 0
    out = capsys.readouterr().out

    assert "24 promised cases: eager traffic at most" in out
    assert out.splitlines()[-1].startswith("Not promised, pythia-2.8b: 12 cases")
    assert out.count("| mistral-7b-v0.2 (8 layers) | ") == 12


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_compare_fails_when_one_row_changes_by_a_fifth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], factor: float
) -> None:
    def change(row: dict[str, str]) -> None:
        if (row["model"], row["case"], row["operator"]) == (PROMISED[0], single_step()[0].case, "gate_proj"):
            row["read_bytes"] = str(int(int(row["read_bytes"]) * factor))

    assert dram_counters.main(["compare", str(edited(tmp_path / "changed.csv", change))]) == 1
    assert "decode-b1-c512-fp16-eager: compulsory reads are" in capsys.readouterr().out.splitlines()[-1]


def test_a_damaged_table_names_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = edited(tmp_path / "damaged.csv", lambda row: row.update(read_bytes="many"))

    with pytest.raises(SpecError, match=r"damaged\.csv: not a table of counters"):
        read(path)
    assert dram_counters.main(["compare", str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {path}: ")


@pytest.mark.parametrize(
    "content",
    [None, "", "\n".join(TABLE.read_text(encoding="utf-8").splitlines()[:2]), "# gpu\nmodel,case\na,b\n"],
    ids=["missing", "empty", "without rows", "other columns"],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: str | None) -> None:
    """Else nothing would be compared, and all of it be within what is promised."""
    path = tmp_path / "table.csv"
    if content is not None:
        path.write_text(content, encoding="utf-8")

    with pytest.raises(SpecError, match=r"table\.csv: "):
        read(path)


def test_written_tables_are_read_back(tmp_path: Path) -> None:
    rows = [row for case in ROWS for row in case]
    place = dram_counters.Provenance(
        gpu="g", uuid="u", driver="d", torch="t", transformers="f", bitsandbytes="b", ncu="n", commit="c"
    )
    dram_counters.write(rows, place, tmp_path / "table.csv")

    assert read(tmp_path / "table.csv") == ROWS
    assert provenance_line(tmp_path / "table.csv").startswith("gpu g, uuid u, driver d")
