"""DRAM traffic by hardware counters, and how far the model of it is off.

    python -m perf_tests.dram_counters count --out FILE     on a GPU, with ncu
    python -m perf_tests.dram_counters compare [FILE]       anywhere

`count` runs Nsight Compute over one eager step of each case, every kernel in
one pass of counters, caches and clocks left as they are, and stores bytes by
operator. `compare` lays the model's predictions beside them.
"""

import argparse
import csv
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import product
from pathlib import Path

from analytic import SpecError
from analytic.small_file import read_small
from perf_tests.dram_comparison import Counted, compare, failures, show, summary
from perf_tests.dram_steps import CASE, OPERATOR
from perf_tests.gpu_presence import gpu_problem

TABLE = Path(__file__).parent / "bounds" / "dram_counters.csv"

READ, WRITTEN = "dram__bytes_read.sum", "dram__bytes_write.sum"
PHASES = ("prefill-b{batch}-p512", "decode-b{batch}-c512", "decode-b{batch}-c2048")
BATCHES = (1, 8)
PRECISIONS = ("fp16", "nf4")
# (preset, layers): whole layers at their true shapes, few enough to finish.
MODELS = (("mistral-7b-v0.2", 8), ("qwen2.5-7b", 8), ("pythia-2.8b", 8))

_RANGE = re.compile(rf"({CASE}|{OPERATOR})=([^:\"]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where the counters come from."""

    gpu: str
    uuid: str
    driver: str
    torch: str
    transformers: str
    bitsandbytes: str
    ncu: str
    commit: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command. Bad input prints one line to stderr and returns 2."""
    parser = argparse.ArgumentParser(prog="python -m perf_tests.dram_counters", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    count = commands.add_parser("count", help="count on this machine's GPU")
    count.add_argument("--out", type=Path, required=True, help="the table to write (CSV)")
    count.add_argument(
        "--model", action="append", metavar="PRESET[:LAYERS]", help="default: the committed three"
    )
    count.set_defaults(run=_count)
    compared = commands.add_parser("compare", help="predictions beside counters")
    compared.add_argument("table", nargs="?", type=Path, default=TABLE)
    compared.add_argument("--operators", action="store_true", help="by operator as well")
    compared.set_defaults(run=_compare)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except SpecError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _count(options: argparse.Namespace) -> int:
    if problem := gpu_problem():
        raise SpecError(f"counting needs a GPU: {problem}")
    chosen = [_model(text) for text in options.model] if options.model else MODELS
    provenance = _provenance()
    rows = [row for model, layers in chosen for row in _counted(model, layers)]
    write(rows, provenance, options.out)
    print(f"{len(rows)} rows: {options.out}")
    return 0


def _compare(options: argparse.Namespace) -> int:
    compared = [compare(case) for case in read(options.table)]
    print("\n".join(show(compared, operators=options.operators)))
    wrong = failures(compared)
    print("\n".join(["", *summary(compared), *wrong]))
    return 1 if wrong else 0


def _model(text: str) -> tuple[str, int | None]:
    name, _, layers = text.partition(":")
    if layers and not layers.isdecimal():
        raise SpecError(f"--model is {text!r}; PRESET or PRESET:LAYERS is needed")
    return name, int(layers) if layers else None


def case_ids() -> tuple[str, ...]:
    """Every counted case, sorted by precision so that each model is loaded once."""
    return tuple(
        f"{phase.format(batch=batch)}-{precision}-eager"
        for precision, batch, phase in product(PRECISIONS, BATCHES, PHASES)
    )


def _counted(model: str, layers: int | None) -> Iterator[Counted]:
    """Runs ncu over the steps of a model. Raises SpecError where it cannot."""
    ncu = shutil.which("ncu")
    if ncu is None:
        raise SpecError("ncu (Nsight Compute) is not on the PATH; it comes with the CUDA toolkit")
    steps = [sys.executable, "-m", "perf_tests.dram_steps", model, "--cases", ",".join(case_ids())]
    if layers is not None:
        steps += ["--layers", str(layers)]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "ncu.csv"
        # One pass of counters; neither clocks nor caches are touched.
        watch = [
            "--clock-control",
            "none",
            "--cache-control",
            "none",
            "--profile-from-start",
            "off",
            "--nvtx",
        ]
        shown = ["--page", "raw", "--csv", "--metrics", f"{READ},{WRITTEN}", "--log-file", str(log)]
        done = subprocess.run([ncu, *watch, *shown, *steps], check=False, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr or done.stdout or log.read_text(encoding="utf-8")).strip().splitlines()
            raise SpecError(f"ncu failed on {model}: {said[-1] if said else 'without a word'}")
        yield from by_operator(log.read_text(encoding="utf-8").splitlines(), model, layers or 0)


def by_operator(lines: Iterable[str], model: str, layers: int) -> list[Counted]:
    """Ncu's raw CSV page, summed by case and operator. Bytes are ncu's base unit."""
    start = (line for line in lines if line.startswith('"'))
    rows = csv.DictReader(start)
    total: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if not row["ID"]:  # the line of units
            if {row[READ], row[WRITTEN]} != {"byte"}:
                raise SpecError(f"ncu counted in {row[READ]}, not in bytes: give it --print-units base")
            continue
        ranges = _RANGE.findall(" ".join(v for k, v in row.items() if k and k.startswith("thread ")))
        case = next((name for kind, name in ranges if kind == CASE), None)
        if case is None:
            raise SpecError("ncu reported a kernel outside every case: its NVTX ranges are missing")
        operator = next((name for kind, name in reversed(ranges) if kind == OPERATOR), "other")
        found = total.setdefault((case, operator), [0, 0.0, 0.0])
        found[0] += 1
        found[1] += float(row[READ].replace(",", ""))
        found[2] += float(row[WRITTEN].replace(",", ""))
    return [
        Counted(
            model=model,
            layers=layers,
            case=case,
            operator=operator,
            launches=int(count),
            read_bytes=int(read_bytes),
            written_bytes=int(written),
        )
        for (case, operator), (count, read_bytes, written) in total.items()
    ]


def _provenance() -> Provenance:
    import torch

    from baselines.commit import commit
    from perf_tests.device import CudaDevice
    from perf_tests.fingerprint import soft_key

    device = CudaDevice()
    soft = soft_key(device)
    found = commit(Path(__file__).parents[1])
    version = subprocess.run(["ncu", "--version"], check=False, capture_output=True, text=True).stdout  # noqa: S607
    return Provenance(
        gpu=device.key,
        uuid=soft.gpu_uuid or "?",
        driver=soft.driver or "?",
        torch=torch.__version__,
        transformers=soft.transformers,
        bitsandbytes=soft.bitsandbytes or "none",
        ncu=next((line.split()[1] for line in version.splitlines() if line.startswith("Version")), "?"),
        commit=found.hash + (" with uncommitted changes" if found.dirty else ""),
    )


def write(rows: Sequence[Counted], provenance: Provenance, path: Path) -> None:
    """A CSV whose first line says where it comes from."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("# " + ", ".join(f"{k} {v}" for k, v in asdict(provenance).items()) + "\n")
        writer = csv.DictWriter(file, [f.name for f in fields(Counted)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def provenance_line(path: Path = TABLE) -> str:
    """Where a table comes from, in words."""
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def read(path: Path = TABLE) -> list[list[Counted]]:
    """The rows of a table, case by case. Raises SpecError for a file that is none."""
    lines = read_small(path, what="a table of counters").splitlines()
    cases: dict[tuple[str, str], list[Counted]] = {}
    try:
        for row in csv.DictReader(line for line in lines if not line.startswith("#")):
            sizes = {k: _count_of(row[k]) for k in ("layers", "launches", "read_bytes", "written_bytes")}
            one = Counted(model=row["model"], case=row["case"], operator=row["operator"], **sizes)
            cases.setdefault((one.model, one.case), []).append(one)
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise SpecError(f"{path}: not a table of counters: {error!r}") from error
    if not cases:
        raise SpecError(f"{path}: a table of counters without a row")
    return list(cases.values())


def _count_of(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError(f"{number} is no count")
    return number


if __name__ == "__main__":
    raise SystemExit(main())
