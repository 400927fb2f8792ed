"""The cases of each lane: those of cases.toml, or of the file that --perf-cases names."""

from dataclasses import replace
from functools import cache
from pathlib import Path

from analytic import Case, load_model
from perf_tests.case_file import LANES, LaneCases, read_case_file

__all__ = ["LANES", "TABLE", "default_model", "lane_cases"]

TABLE = Path(__file__).parent / "cases.toml"


@cache
def _default() -> dict[str, LaneCases]:
    return read_case_file(TABLE)


def default_model(lane: str, *, file: Path | None = None) -> str:
    """The model that a lane measures, as `file` or else cases.toml names it.

    Raises SpecError for a file that cannot be used.
    """
    own = _default() if file is None else read_case_file(file)
    return own.get(lane, _default()[lane]).model


def lane_cases(lane: str, *, model: str | None = None, file: Path | None = None) -> tuple[Case, ...]:
    """Every case of a lane, on its own model or on the one named. A `file` takes
    the place of cases.toml: a lane that it leaves out has no case.

    Raises SpecError for a file that cannot be used, or that names an unknown model.
    """
    table = (_default() if file is None else read_case_file(file)).get(lane)
    if table is None:
        return ()
    # In ids and folders a model that is given by its path has its own name.
    name = model or load_model(table.model).name
    return tuple(replace(case, model=name) for case in table.cases)
