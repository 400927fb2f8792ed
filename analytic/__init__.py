"""The model of the machine and of the transformer.

Pure: no torch, no pytest, no files written. See analytic/README.md.
"""

from analytic.bound import Bound, case_bound, least_s, mbu, mfu, pass_bound, sequence_bound
from analytic.case import ASKED_FOR, Case, Phase, Promise
from analytic.config_file import find_config, load_model, preset_names, read_config
from analytic.cost import Cost, Operator, merged
from analytic.counting import case_costs, pass_cost
from analytic.errors import SpecError
from analytic.footprint import Footprint, footprint
from analytic.gpus import GpuSpec, find_gpu, registry
from analytic.models import ModelSpec
from analytic.precision import PRECISIONS, Precision, find_precision
from analytic.roofs import Ceilings, Roofs

__all__ = [
    "ASKED_FOR",
    "PRECISIONS",
    "Bound",
    "Case",
    "Ceilings",
    "Cost",
    "Footprint",
    "GpuSpec",
    "ModelSpec",
    "Operator",
    "Phase",
    "Precision",
    "Promise",
    "Roofs",
    "SpecError",
    "case_bound",
    "case_costs",
    "find_config",
    "find_gpu",
    "find_precision",
    "footprint",
    "least_s",
    "load_model",
    "mbu",
    "merged",
    "mfu",
    "pass_bound",
    "pass_cost",
    "preset_names",
    "read_config",
    "registry",
    "sequence_bound",
]
