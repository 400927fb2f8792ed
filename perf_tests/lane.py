"""python -m perf_tests.lane: which lane `make demo` runs here, gpu or cpu."""

import sys

from perf_tests.gpu_presence import gpu_problem, machine_has_gpu


def main() -> int:
    """Prints the lane. A GPU that torch cannot use is an error, not a reason to
    measure the CPU instead."""
    problem = gpu_problem()
    if problem is None:
        print("gpu")
        return 0
    if machine_has_gpu():
        print(
            f"error: this machine has an NVIDIA GPU, but {problem}.\n"
            "Install a torch build for its driver, or point USE_PYTHON at a Python that has one;\n"
            "`make demo LANE=cpu` measures the CPU instead.",
            file=sys.stderr,
        )
        return 2
    print("cpu")
    return 0


if __name__ == "__main__":
    sys.exit(main())
