"""The errors of a load test itself, as opposed to what it finds.

LoadTestError
├── UnknownShapeError      no such shape, or a shape that names no such story
├── ObjectiveError         an objective that cannot be read
├── OptionError            an option of the run that makes no sense, or does not go with another one
├── UnreachableError       no Darkroom at the address, or it does not accept the key
├── ObservationError       the observed address answered something else than it should
├── RecordingError         the file of a run that is missing, or is none
└── EmptyRunError          nothing to report: no visitor came
"""

from __future__ import annotations


class LoadTestError(Exception):
    """The message says what was found and what is expected."""


class UnknownShapeError(LoadTestError):
    pass


class ObjectiveError(LoadTestError):
    pass


class OptionError(LoadTestError):
    pass


class UnreachableError(LoadTestError):
    pass


class ObservationError(LoadTestError):
    pass


class RecordingError(LoadTestError):
    pass


class EmptyRunError(LoadTestError):
    pass
