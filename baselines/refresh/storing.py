"""New sessions take the place of the stored ones: all are checked, then all are written."""

import datetime as dt
from collections.abc import Sequence

from baselines.allowed import Allowed, allowed_changes
from baselines.policy import POLICY
from baselines.refresh.acceptance import Terms
from baselines.refresh.errors import RefreshError
from baselines.refresh.replacing import Old, Replacing
from baselines.refresh.sessions import collect, unfit
from baselines.refresh.table import Replaced
from baselines.run import RunFolder
from baselines.store import Store, baseline_of


class NotAcceptedError(RefreshError):
    """The sessions are sound, and something speaks against storing them: `changes` are
    what would have been stored."""

    def __init__(self, refusals: Sequence[str], changes: Sequence[Replaced]) -> None:
        super().__init__("\n".join(refusals))
        self.changes = tuple(changes)


def store_sessions(
    store: Store,
    runs: Sequence[RunFolder],
    *,
    command: str,
    terms: Terms = Terms(),  # noqa: B008 - frozen
    allowed: Sequence[Allowed] | None = None,
) -> list[Replaced]:
    """Replaces the baselines of every case in `runs`; all stored files and all new sessions
    are checked before the first is written. No other writer comes between the look at the
    old and the last of the new. Under `terms.dry_run` all is checked and nothing written.

    Raises RefreshError, FormatError, SpecError and OSError; a damaged file is never overwritten.
    """
    by_case = collect(runs)
    if faults := unfit(runs, by_case, allow_dirty=terms.allow_dirty):
        raise RefreshError("\n".join(faults))
    written = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    replacing = Replacing(
        store=store,
        by_case=by_case,
        fresh={
            case_id: baseline_of(records, written=written, command=command)
            for case_id, records in by_case.items()
        },
        terms=terms,
        policy=POLICY,
        allowed=allowed_changes() if allowed is None else allowed,
    )
    # What is refused makes no folder and no lock.
    old = replacing.old()
    changes = _accepted(replacing, old)
    if terms.dry_run:
        return changes
    with store.locked():
        # Another writer may have come before.
        if (now := replacing.old()) != old:
            changes = _accepted(replacing, now)
        store.put([change.new for change in changes])
    return changes


def _accepted(replacing: Replacing, old: Old) -> list[Replaced]:
    if faults := replacing.unmergeable(old):
        raise RefreshError("\n".join(f"{words}; refresh without --add, or both cards" for words in faults))
    changes, refusals = replacing.changes(old)
    if refusals:
        raise NotAcceptedError(refusals, changes)
    return changes
