"""Training objectives, one a file."""

from typing import assert_never

from goe.core import config
from goe.methods.base import Batch, Method, StepOutput
from goe.methods.baseline import Baseline
from goe.methods.goe import GOE
from goe.methods.oe import OE

__all__ = ["Batch", "Method", "StepOutput", "build_method"]


def build_method(spec: config.Method) -> Method:
    """The objective that a run's configuration asks for."""
    match spec:
        case config.Baseline():
            return Baseline()
        case config.OE():
            return OE(spec)
        case config.GOE():
            return GOE(spec)
        case _:
            assert_never(spec)
