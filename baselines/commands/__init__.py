"""The commands of python -m baselines: a module each, of its name.

A module has `add(commands)`, which adds its parser and sets `run` as the default
of that name, and `run(options)`, which prints and returns the exit code: 0 done,
1 refused or found worse. One whose further arguments go to pytest sets `takes_pytest`
beside it, and finds them in `options.pytest`. Bad input is raised as FormatError, SpecError or OSError.
Only the module of the command that was asked for is imported.
"""

import argparse
from typing import TypeAlias

# What add_subparsers() returns has no public name.
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001

# In the order of --help.
COMMANDS = ("refresh", "show", "compare", "power", "push", "trend")
