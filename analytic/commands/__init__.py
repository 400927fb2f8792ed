"""The commands of python -m analytic: a module each, of its name.

A module has `add(commands)`, which adds its parser and sets `run` as the
default of that name, and `run(options)`, which prints. Only the module of the
command that was asked for is imported. arguments.py holds what several take;
bounds_answer.py and bounds_text.py are the two forms of what bounds answers.
"""

import argparse
from typing import TypeAlias

# What add_subparsers() returns has no public name.
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001

# In the order of --help.
COMMANDS = ("bounds", "footprint", "ceilings", "gpus", "models", "sweep", "whatif")
