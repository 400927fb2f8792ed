"""python -m baselines power: what the gate sees, and how often it cries wolf, simulated by its own functions."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence

import numpy as np

from analytic import SpecError, text
from baselines.commands import Subparsers
from baselines.commands.options import add_store
from baselines.pinned import PinnedSuite, suites
from baselines.policy import POLICY
from baselines.power.kinds import Row
from baselines.power.scenarios import scenarios
from baselines.power.stored import pairs, stored_scenarios
from baselines.power.table import as_json, power_table
from baselines.store import Store

_TRIALS, _SEED = 500, 20261123
# Of fewer no rate that is promised can be told.
_LEAST_TRIALS = 20


def add(commands: Subparsers) -> None:
    power = commands.add_parser(
        "power",
        help="false alarms and what is caught: simulated, and on the stored sessions",
        description="Judges made-up sessions, and sessions drawn from the stored ones, by the gate's own "
        "rule, beside other tools' rules on the same sessions. Exit code 1 where a promise does not hold, "
        "2 for bad input, and where a stored baseline cannot be read: it is named and left out.",
    )
    power.add_argument("--trials", type=int, default=_TRIALS, help=f"a row (default: {_TRIALS})")
    power.add_argument("--seed", type=int, default=_SEED, help=f"of the draws (default: {_SEED})")
    power.add_argument("--json", action="store_true", help="one JSON list, rates as shares")
    add_store(power, "the store")
    power.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.trials < _LEAST_TRIALS:
        raise SpecError(f"--trials is {options.trials}; at least {_LEAST_TRIALS} are needed")
    if options.seed < 0:
        raise SpecError(f"--seed is {options.seed}; a number from 0 on is needed")
    found = tuple(suites(Store(options.perf_baselines)))
    rows = [*_made_up(options.trials, options.seed), *_stored(found, options)]
    print(json.dumps(as_json(rows), indent=1) if options.json else power_table(rows))
    broken = [row for row in rows if not row.held]
    if broken and not options.json:
        promises = sum(row.target is not None for row in rows)
        print(f"\nNot held: {len(broken)} of {text.counted(promises, 'promise')}")
    damaged = [words for suite in found for words in suite.damaged]
    for words in damaged:
        print(f"damaged: {words}", file=sys.stderr)
    return 2 if damaged else 1 if broken else 0


def _made_up(trials: int, seed: int) -> Iterator[Row]:
    for scenario in scenarios(POLICY):
        yield from scenario.rows(trials, POLICY, np.random.default_rng(seed))


def _stored(found: Sequence[PinnedSuite], options: argparse.Namespace) -> Iterator[Row]:
    """Of every GPU and model in the store."""
    for suite in found:
        rng = np.random.default_rng(options.seed)
        for scenario in stored_scenarios(suite, POLICY):
            yield from scenario.rows(options.trials, POLICY, rng)
        if (row := pairs(suite, rng)) is not None:
            yield row
