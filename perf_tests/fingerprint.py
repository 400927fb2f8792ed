"""What must match for two runs to be compared, and what is noted beside them."""

import importlib.metadata
import platform

from analytic import ModelSpec
from baselines.record import HardKey, SoftKey
from perf_tests.device import Device, cpu_model


def hard_key(device: Device, spec: ModelSpec, *, checkpoint: str) -> HardKey:
    identity = device.identity()
    return HardKey(
        device=identity.name,
        device_memory_bytes=identity.memory_bytes,
        power_limit_w=identity.power_limit_w,
        ecc=identity.ecc,
        mig=identity.mig,
        shapes=spec.shapes,
        checkpoint=checkpoint,
        attention="sdpa",
    )


def soft_key(device: Device) -> SoftKey:
    import torch

    identity = device.identity()
    return SoftKey(
        gpu_uuid=identity.uuid,
        driver=identity.driver,
        cuda=torch.version.cuda,
        torch=torch.__version__,
        transformers=_version("transformers") or "?",
        bitsandbytes=_version("bitsandbytes"),
        accelerate=_version("accelerate"),
        python=platform.python_version(),
        host=platform.node(),
        host_cpu=cpu_model(),
    )


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
