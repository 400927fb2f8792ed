"""The reasons of a comparison's cases, shorter: the time first, counts in one line, and what
is the same for all of them, such as where A lies, once elsewhere."""

import re
from collections.abc import Sequence

from baselines.versus import Pair

_COMMAND = re.compile(r"; (?:if this is meant|keep it): (python -m baselines refresh [^,;]*)")
_DECLARE = ", or declare it in baselines/allowed.toml"
_FEW = "sessions needed to judge are in "


def in_short(pair: Pair) -> list[str]:
    """Every finding of the case."""
    # That too few sessions are there is said with what helps.
    kept = [one for one in pair.verdict.reasons if not (pair.unjudged and _FEW in one)]
    if pair.status == "not_in_a":
        kept = [one for one in kept if not one.startswith("no baseline is stored")]
    shorter = [
        _COMMAND.sub("", one).replace(f"; baseline {pair.place}", "").replace(_DECLARE, "") for one in kept
    ]
    # Stable: times, then the others as they were, worst first.
    return sorted(_merged(shorter, list(map(str, pair.counts))), key=lambda one: not _is_time(one))


def _is_time(reason: str) -> bool:
    return reason.startswith("device time ")


def _merged(reasons: Sequence[str], counts: Sequence[str]) -> list[str]:
    """Reasons that differ only in the count that they name are one."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in reasons:
        count = next((c for c in counts if c in one), "")
        before, _, after = one.partition(count) if count else (one, "", "")
        found.setdefault((before, after), []).append(count)
    return [f"{before}{', '.join(named)}{after}" for (before, after), named in found.items()]


def if_meant(pairs: Sequence[Pair]) -> str:
    """The command that stores what is worse, or better, as the new normal; empty where no
    case asks for it."""
    reasons = [one for pair in pairs for one in pair.verdict.reasons]
    commands = dict.fromkeys(match[1] for one in reasons for match in _COMMAND.finditer(one))
    if len(commands) > 1:
        commands = dict.fromkeys(command.partition(" -k ")[0] for command in commands)
    declare = "; counts alone may be declared in baselines/allowed.toml"
    allowed = declare if any(_DECLARE in one for one in reasons) else ""
    return f"If this is meant: {' or '.join(commands)}{allowed}" if commands else ""
