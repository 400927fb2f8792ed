"""Records, runs and folders made from plain numbers, for tests that need no torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from analytic import Case, Ceilings, Phase, find_gpu, load_model
from baselines.codec import FormatError, read
from baselines.derived import Derived, derive
from baselines.record import (
    SCHEMA,
    Conditions,
    Counts,
    GpuState,
    HardKey,
    KernelTime,
    Measurement,
    Memory,
    Record,
    SoftKey,
    Tokens,
)
from baselines.run import Planned, RunFolder, RunInfo, Verdicts, run_ceilings
from baselines.verdict import Verdict

RUN = "20261122T120000-abc1234"
STARTED = "2026-11-22T12:00:00+00:00"
COMMIT = "abc1234"
MODEL = "mistral-7b-v0.1"
DECODE = "decode-b1-c512-fp16-eager"

Times = float | Sequence[float]

# What the GPUs of the registry were seen to reach, roughly, as shares of the
# datasheet; a CPU's ceilings are all that it has.
_COPY_SHARE, _READ_SHARE, _GEMM_SHARE = 0.89, 0.82, 0.76
CPU_CEILINGS = Ceilings(
    device="cpu", copy_bytes_per_s=20e9, read_bytes_per_s=16e9, gemm_flops_per_s={"fp32": 400e9}
)


def ceilings(gpu: str = "h100-sxm") -> Ceilings:
    """Plausible measured ceilings of a GPU; CPU_CEILINGS for "cpu"."""
    if gpu == "cpu":
        return CPU_CEILINGS
    spec = find_gpu(gpu)
    return Ceilings(
        device=spec.torch_names[0],
        copy_bytes_per_s=_COPY_SHARE * spec.bytes_per_s,
        read_bytes_per_s=_READ_SHARE * spec.bytes_per_s,
        gemm_flops_per_s={d: _GEMM_SHARE * peak for d, peak in spec.flops_per_s.items() if d != "int8"},
    )


def hard_key(gpu: str = "h100-sxm") -> HardKey:
    spec = None if gpu == "cpu" else find_gpu(gpu)
    return HardKey(
        device=spec.torch_names[0] if spec else "Example CPU, 2 cores",
        device_memory_bytes=int(spec.memory_bytes) if spec else None,
        power_limit_w=700.0 if spec else None,
        ecc=True if spec else None,
        mig=False if spec else None,
        shapes="0123456789abcdef",
        checkpoint="random",
        attention="sdpa",
    )


def soft_key(gpu: str = "h100-sxm") -> SoftKey:
    on_gpu = gpu != "cpu"
    return SoftKey(
        gpu_uuid="GPU-0" if on_gpu else None,
        driver="580.159" if on_gpu else None,
        cuda="13.0" if on_gpu else None,
        torch="2.11.0",
        transformers="5.17.0",
        bitsandbytes="0.50.2" if on_gpu else None,
        accelerate="1.10.0",
        python="3.11.9",
        host="host-a",
        host_cpu="Example CPU",
    )


def gpu_state(*reasons: str) -> GpuState:
    """NVML's view, calm but for the `reasons` that hold the clock down."""
    return GpuState(
        sm_clock_mhz=1980,
        memory_clock_mhz=2619,
        temperature_c=45,
        power_w=300.0,
        memory_used_bytes=16 * 10**9,
        event_reasons=reasons,
    )


def conditions(
    *,
    before: GpuState | None = None,
    during: Sequence[GpuState] = (),
    after: GpuState | None = None,
    slowed_s: Mapping[str, float] | None = None,
    foreign: Sequence[str] = (),
    memory_at_start_bytes: int = 0,
    sm_clock_max_mhz: int = 1980,
    memory_clock_max_mhz: int = 2619,
) -> Conditions:
    """A calm GPU, alone with this run, but for what is said."""
    return Conditions(
        before=before or gpu_state(),
        during=tuple(during),
        after=after or gpu_state(),
        observed_s=1.0,
        slowed_s=slowed_s or {},
        foreign=tuple(foreign),
        memory_at_start_bytes=memory_at_start_bytes,
        sm_clock_max_mhz=sm_clock_max_mhz,
        memory_clock_max_mhz=memory_clock_max_mhz,
        persistence=True,
        pcie="gen 5 x16 of gen 5 x16",
    )


def record(
    case_id: str,
    *,
    gpu: str = "h100-sxm",
    model: str = MODEL,
    wall_s: Times = 0.040,
    device_s: Times | None = None,
    device_note: str | None = None,
    hold_s: float | None = None,
    held_clock_mhz: tuple[float, ...] | None = None,
    first_token_s: Times | None = None,
    measured_ceilings: Ceilings | None = None,
    seen: Conditions | None = None,
    counts: Counts | None = None,
    kernels: tuple[KernelTime, ...] | None = None,
    back_to_back_s: Times | None = None,
    teardown: bool = True,
    retried: tuple[str, ...] = (),
    hard: HardKey | None = None,
    soft: SoftKey | None = None,
    run: str = RUN,
) -> Record:
    """A record of `case_id` on `gpu` ("cpu" or a registry key).

    Times are in seconds: one number stands for three equal samples. Without
    `device_s` the device time was not measured. A generate() case without
    `first_token_s` took a tenth of its wall to the first token.
    """
    case = Case.parse(case_id, model=model)
    wall = _samples(wall_s)
    first = None
    if case.phase is Phase.GENERATE:
        first = tuple(s / 10 for s in wall) if first_token_s is None else _samples(first_token_s)
    return Record(
        schema=SCHEMA,
        run=run,
        started=STARTED,
        commit=COMMIT,
        dirty=False,
        case=case,
        gpu=gpu,
        model=load_model(model),
        hard=hard or hard_key(gpu),
        soft=soft or soft_key(gpu),
        ceilings=measured_ceilings or ceilings(gpu),
        measurement=Measurement(
            prepare_s=0.5,
            warmup_s=(2 * wall[0],),
            warmup_stop="settled",
            wall_s=wall,
            back_to_back_s=None if back_to_back_s is None else _samples(back_to_back_s),
            first_token_s=first,
            device_s=None if device_s is None else _samples(device_s),
            device_note=device_note,
            hold_s=hold_s,
            held_clock_mhz=held_clock_mhz,
            memory=Memory(resident_bytes=None, peak_bytes=None, predicted_bytes=15 * 10**9),
            tokens=Tokens(produced=case.output_len, digest="0" * 16) if case.output_len else None,
            conditions=seen,
            energy_j=None,
            counts=counts,
            kernels=kernels,
            teardown=teardown,
            retried=retried,
        ),
    )


def kernel(name: str, *device_s: float, launches: int = 32) -> KernelTime:
    """Of q_proj."""
    return KernelTime(operator="q_proj", name=name, launches=launches, device_s=device_s)


def _samples(times: Times) -> tuple[float, ...]:
    return (times,) * 3 if isinstance(times, float) else tuple(times)


def derived(records: Sequence[Record]) -> tuple[Derived, ...]:
    """The records beside their bounds, under the ceilings of their run."""
    highest = run_ceilings(tuple(records))
    return tuple(derive(r, highest) for r in records)


def run_info(records: Sequence[Record], *, not_run: Mapping[str, str] | None = None) -> RunInfo:
    """The plan of a run that measured `records`, and not the cases of `not_run`."""
    lane = "cpu" if records and records[0].gpu == "cpu" else "gpu"
    model = records[0].case.model if records else MODEL
    skipped = (
        Planned(case=Case.parse(case_id, model=model), lane=lane, not_run=reason)
        for case_id, reason in (not_run or {}).items()
    )
    return RunInfo(
        id=records[0].run if records else RUN,
        started=STARTED,
        commit=COMMIT,
        dirty=False,
        command=f"pytest -m {lane}",
        planned=(*(Planned(case=r.case, lane=lane) for r in records), *skipped),
    )


def refusal(kind: type, path: Path) -> str:
    """What is said of a stored file that is refused, after its name; in one line, and a short one."""
    with pytest.raises(FormatError) as refused:
        read(kind, path)
    message = str(refused.value)
    assert message.startswith(f"{path}: ")
    said = message.removeprefix(f"{path}: ")
    assert said.isprintable()
    assert 0 < len(said) < 600
    return said


def run_folder(
    path: Path,
    records: Sequence[Record],
    *,
    verdicts: Sequence[Verdict] | None = None,
    not_run: Mapping[str, str] | None = None,
) -> RunFolder:
    """A stored run at `path`; judged where `verdicts` are given."""
    folder = RunFolder(path)
    folder.write_info(run_info(records, not_run=not_run))
    for one in records:
        folder.write_record(one)
    if verdicts is not None:
        folder.write_verdicts(Verdicts(policy_digest="0" * 16, verdicts=tuple(verdicts)))
    return folder
