"""The short form of parameters that records and messages keep."""

from __future__ import annotations

from typing import Any

from darkroom.contract.parameters.job import JobParameters


def canonical_parameters(parameters: JobParameters) -> dict[str, Any]:
    """Return the parameters that the caller set, in JSON types, without defaults: short in the record and stable across
    versions.
    """
    return dict(parameters.model_dump(mode="json", exclude_unset=True))
