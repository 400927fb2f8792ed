"""Whether a case fits into the memory of a GPU, and what that is said with."""

from analytic import text
from analytic.case import Case
from analytic.footprint import cache_bytes, footprint, held_tokens, resident_weight_bytes
from analytic.gpus import GpuSpec
from analytic.models import ModelSpec
from analytic.precision import find_precision
from analytic.whatif.present import Present


def need_bytes(model: ModelSpec, case: Case, gpu: GpuSpec, *, attention: str = "auto") -> int:
    """The predicted peak of a case; on a GPU whose eager execution is not modelled
    weights and cache alone."""
    precision = find_precision(case.precision)
    if gpu.eager_modelled:
        return footprint(model, case, precision, gpu, attention=attention).total_bytes
    kept = cache_bytes(model, precision, batch=case.batch, tokens=held_tokens(case))
    return resident_weight_bytes(model, precision) + kept


def refusal(now: Present, case: Case, *, attention: str = "auto") -> str:
    """Why a case does not fit into the memory; empty where it does, or nothing is known."""
    if now.gpu is None:
        return ""
    return beyond_memory(now, now.gpu, need_bytes(now.model, case, now.gpu, attention=attention))


def beyond_memory(now: Present, gpu: GpuSpec, need: float) -> str:
    """Empty where `need` bytes fit, or where the observed case has run with more."""
    if need <= gpu.usable_bytes:
        return ""
    seen = now.observation is not None and now.gpu == gpu
    if seen and need <= need_bytes(now.model, now.case, gpu):
        return ""
    return f"does not fit: {needs(gpu, need)}"


def needs(gpu: GpuSpec, need: float) -> str:
    return f"needs {text.scaled(need, 'B')} of {text.scaled(gpu.usable_bytes, 'B')} usable"


def memory(now: Present, case: Case) -> str:
    """What a case that fits needs, as a clause."""
    if now.gpu is None:
        return "; whether it fits in memory is not known"
    return f"; {needs(now.gpu, need_bytes(now.model, case, now.gpu))}"
