"""How `event_function` checks the event type at decoration time."""

from __future__ import annotations

import re

import pytest

from darkroom.contract.errors import UnknownJobTypeError
from darkroom.serving import event_function


def test_a_function_for_an_event_type_that_no_row_has_is_refused_when_it_is_decorated() -> None:
    refusal = (
        "unknown event type 'dev.darkroom.resise.requested'; did you mean 'dev.darkroom.resize.requested'? there are "
        "dev.darkroom.resize.requested, dev.darkroom.crop.requested, dev.darkroom.renditions.requested"
    )
    with pytest.raises(UnknownJobTypeError, match=f"^{re.escape(refusal)}$"):
        event_function("dev.darkroom.resise.requested")
