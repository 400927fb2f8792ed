"""What a change would do to one case: to its bound, and to the estimates of its time.

The case need not have been measured. Without an observation the present is what
the model estimates of eager execution; with one, every prediction is scaled by
it, and its limits are these:

* Device time keeps its ratio to the estimate: device' = device x estimate' /
  estimate. Other shapes and other kernels may be further from theirs.
* Where the case was launch-bound, the host's launching took the whole wall. That
  is a floor which no lighter or faster kernel lowers; it goes with the number of
  launches. Only an engine that launches a step at once removes it.
* Elsewhere the host's time for a launch hid under the kernels: it is the measured
  launch gap of the ceilings, or a typical one, and at most wall / launches.

Where there is no estimate (a CPU, generate(), a GPU without CUDA) the bound takes
its place, at the same achieved fraction. A gain is a ratio of throughputs,
(tokens' / wall') / (tokens / wall); a bound never becomes a gain where times are
known.
"""

from analytic.whatif.batches import batch_option
from analytic.whatif.option import NO_GAIN, Option
from analytic.whatif.other_gpus import Outlook, other_gpus
from analytic.whatif.present import Observation, Present, present
from analytic.whatif.ranking import options, ranked
from analytic.whatif.speculation import Speculation, tokens_per_round

__all__ = [
    "NO_GAIN",
    "Observation",
    "Option",
    "Outlook",
    "Present",
    "Speculation",
    "batch_option",
    "options",
    "other_gpus",
    "present",
    "ranked",
    "tokens_per_round",
]
