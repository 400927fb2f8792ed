"""What must match for two runs to be compared, and what is noted beside them."""

import importlib.metadata
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """The measured tree: a short hash, "unknown" outside git."""

    hash: str
    dirty: bool


def commit(root: Path) -> Commit:
    """The commit at `root`, and whether tracked files differ from it.

    Where the tree is no checkout (a container with a copy of it), the commit
    that CI names in GITHUB_SHA.
    """

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(root), *arguments],  # noqa: S607 - git by PATH, as everywhere
                capture_output=True,
                text=True,
                check=True,
            )
        except (OSError, subprocess.CalledProcessError):
            return None
        return done.stdout.strip()

    found = git("rev-parse", "--short=10", "HEAD")
    if found is None:
        return Commit(hash=os.environ.get("GITHUB_SHA", "unknown")[:10], dirty=False)
    return Commit(hash=found, dirty=bool(git("status", "--porcelain", "--untracked-files=no")))
