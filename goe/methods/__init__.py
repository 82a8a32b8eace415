"""Training objectives, one a file."""

from typing import assert_never

from goe.core import specs
from goe.methods.base import Batch, Method, StepOutput
from goe.methods.baseline import Baseline
from goe.methods.energy_oe import EnergyOE
from goe.methods.goe import GOE
from goe.methods.mixoe import MixOE
from goe.methods.oe import OE
from goe.methods.udg import UDG

__all__ = ["Batch", "Method", "StepOutput", "build_method"]


def build_method(spec: specs.Method) -> Method:
    """The objective that a run's configuration asks for."""
    match spec:
        case specs.Baseline():
            return Baseline()
        case specs.OE():
            return OE(spec)
        case specs.EnergyOE():
            return EnergyOE(spec)
        case specs.MixOE():
            return MixOE(spec)
        case specs.UDG():
            return UDG(spec)
        case specs.GOE():
            return GOE(spec)
        case _:
            assert_never(spec)
