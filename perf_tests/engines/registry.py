"""Which engines there are: Roofgate's four, and those that a user's files define."""

import importlib.util
import sys
import traceback
from pathlib import Path

from analytic import Phase, SpecError
from analytic.case import require_engine_name
from analytic.errors import unknown
from analytic.small_file import shown
from perf_tests.engines.compiled import COMPILED, TUNED
from perf_tests.engines.eager import EAGER
from perf_tests.engines.engine import Engine
from perf_tests.engines.graph import GRAPH

BUILT_IN = {engine.name: engine for engine in (EAGER, GRAPH, COMPILED, TUNED)}
_WHAT = "a Python file that defines ENGINE is needed (see perf_tests/engines/README.md)"

# Own engines by name, each with the file that defines it.
_OWN: dict[str, tuple[Path, Engine]] = {}


def find_engine(name: str) -> Engine:
    """The engine of that name. Raises SpecError, with those that are known."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    if name in _OWN:
        return _OWN[name][1]
    known = unknown("engine", name, (*BUILT_IN, *_OWN))
    raise SpecError(f"{known} An own one is named by its file: --perf-engine=my_engine.py")


def engine_named(text: str, *, base: Path) -> Engine:
    """The engine that `text` names, or that the file does which it is the path of,
    from `base` on. Raises SpecError."""
    if text.endswith(".py") or "/" in text:
        return register_file(base / text)
    return find_engine(text)


def register_file(path: Path) -> Engine:
    """The engine that a file defines as ENGINE, known by its name from then on.

    Raises SpecError that names the file: one that is missing or fails to run, with
    the line; one without an ENGINE that can be used; a name that is taken.
    """
    path = path.resolve()
    for registered, engine in _OWN.values():
        if registered == path:
            return engine
    if not path.is_file():
        raise SpecError(f"{path}: {'this is a folder' if path.is_dir() else 'no such file'}; {_WHAT}")
    engine = _usable(_run(path), path)
    if engine.name in BUILT_IN:
        raise SpecError(f"{path}: {engine.name!r} is the name of an engine of Roofgate's own; choose another")
    if engine.name in _OWN:
        raise SpecError(f"{path}: the engine {engine.name!r} is defined by {_OWN[engine.name][0]} already")
    _OWN[engine.name] = (path, engine)
    return engine


def _run(path: Path) -> object:
    """What the file defines as ENGINE."""
    name = f"roofgate_engine_{path.stem}"
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise SpecError(f"{path} is no Python file; {_WHAT}")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        found.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        said = f"{path}{_line(error, path)}: {type(error).__name__}: {error}"
        if isinstance(error, SystemExit):
            said += "; an engine's file is imported, and may not exit"
        raise SpecError(said) from error
    if not hasattr(module, "ENGINE"):
        raise SpecError(f"{path} defines no ENGINE; {_WHAT}")
    return module.ENGINE


def _line(error: BaseException, path: Path) -> str:
    """Where in the file its error arose, as ":12"; nothing where that is not known."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f":{error.lineno}"
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
    ]
    return f":{lines[-1]}" if lines else ""


def _usable(engine: object, path: Path) -> Engine:
    """A dataclass checks no types, and a wrong one would be noticed mid-run."""
    if not isinstance(engine, Engine):
        raise SpecError(f"{path}: ENGINE is {shown(engine)}, not an Engine of perf_tests.engines.engine")
    try:
        require_engine_name(engine.name)
    except (SpecError, TypeError) as error:
        raise SpecError(f"{path}: ENGINE: {error}") from error
    for name in ("prepare", "load"):
        value = getattr(engine, name)
        if not callable(value) and (name == "prepare" or value is not None):
            raise SpecError(f"{path}: ENGINE: {name} is {shown(value)}; a function is needed")
    for name in ("needs_cuda", "attributed", "queued"):
        value = getattr(engine, name)
        if not isinstance(value, bool):
            raise SpecError(f"{path}: ENGINE: {name} is {shown(value)}; True or False is needed")
    phases = engine.phases
    if not (isinstance(phases, tuple) and phases and all(isinstance(phase, Phase) for phase in phases)):
        raise SpecError(
            f"{path}: ENGINE: phases is {shown(phases)}; a tuple of Phase with something in it is needed"
        )
    return engine
