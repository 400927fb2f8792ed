"""A pytest plugin that makes a module of the measured model do real work twice.

    ROOFGATE_EXTRA_WORK=mlp.down_proj:5 pytest -p perf_tests.selftests.extra_work -m gpu ...

repeats the forward of `mlp.down_proj` in 5 layers, and throws the second result
away. It proves that the gate goes red: nothing is faked, the device is busy for
longer inside a named module.
"""

import os
from collections.abc import Callable
from typing import Any

import pytest

VARIABLE = "ROOFGATE_EXTRA_WORK"


def slowed(load: Callable[..., Any], module: str, layers: int) -> Callable[..., Any]:
    """`load`, with the named module of the first `layers` layers running twice."""

    def load_slowed(*arguments: Any) -> Any:
        model = load(*arguments)
        for layer in model.model.layers[:layers]:
            layer.get_submodule(module).register_forward_hook(_again)
        return model

    return load_slowed


def _again(module: Any, inputs: tuple[Any, ...], _output: Any) -> None:
    module.forward(*inputs)


def pytest_collection_finish(session: pytest.Session) -> None:
    named = os.environ.get(VARIABLE, "")
    module, colon, layers = named.partition(":")
    if not colon or not layers.isdigit():
        raise pytest.UsageError(f"{VARIABLE} is {named!r}; it should read like mlp.down_proj:5")
    import perf_tests.harness as measured

    measured.load = slowed(measured.load, module, int(layers))
    session.config.get_terminal_writer().line(f"extra work: {module} runs twice in {layers} layers")
