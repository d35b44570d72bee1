"""What a request comes to for one picture, resolved before a pixel is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.contract.parameters.output import OutputParameters
from darkroom.imaging.encoding import Encoding, resolve
from darkroom.imaging.facts import Facts
from darkroom.imaging.plan import Plan
from darkroom.imaging.request import OutputFormat, output_format, output_frames


@dataclass(frozen=True, kw_only=True)
class Preparation:
    parameters: OutputParameters
    upright: Facts
    """The facts of the picture, or of what trimming leaves of it, after `rotate` and `flip`."""
    plan: Plan
    output: OutputFormat
    frames: int
    encoding: Encoding


def prepare(facts: Facts, upright: Facts, parameters: OutputParameters, plan: Plan) -> Preparation:
    """Resolve how the plan's result is encoded. Raises ParametersInvalidError."""
    output = output_format(facts, parameters)
    return Preparation(
        parameters=parameters,
        upright=upright,
        plan=plan,
        output=output,
        frames=output_frames(facts, parameters),
        encoding=resolve(facts, output.format, parameters),
    )
