"""The end of a session: its run is appended to the history, and whatever goes wrong is said.

Nothing here fails a run: its records lie in its folder, and `python -m baselines push`
sends them later.
"""

import os
import shlex
from pathlib import Path

from baselines.codec import FormatError
from baselines.history.errors import HistoryError
from baselines.history.opening import LackingError, check, open_history
from baselines.history.outbox import RUNS, send, withhold
from baselines.history.place import Place, chosen
from baselines.run import RunFolder


def check_choice(given: str | None, *, root: Path) -> Place:
    """Where this session's run will be kept. Raises SpecError for a bad URL."""
    place = chosen(given, root=root, environment=os.environ)
    if place.named and place.url is not None:
        check(place)
    return place


def keep(folder: RunFolder, place: Place) -> str:
    """Appends a run that has ended; returns what is to be said, empty where all went well."""
    try:
        if place.url is None or folder.disowned:
            withhold(folder)
        else:
            with open_history(place, create=True) as history:
                send(folder, history)
    except LackingError as error:
        return f"history not kept: {error}; `{_push(folder)}` sends it later"
    except HistoryError as error:
        return f"history: {error}; the run stays in {folder.path}, send it by `{_push(folder)}`"
    except FormatError as error:
        return f"history not kept: {error}"
    # A driver may raise anything; a measurement does not fail by it.
    except Exception as error:  # noqa: BLE001
        return f"history not kept: {type(error).__name__}: {error}; the run stays in {folder.path}"
    return ""


def _push(folder: RunFolder) -> str:
    """The command that sends a run later: without a name it sees those in RUNS alone."""
    whole = folder.path.resolve()
    elsewhere = [] if whole.is_relative_to(RUNS.resolve()) else [str(whole)]
    return shlex.join(["python", "-m", "baselines", "push", *elsewhere])
