"""What recovery asks of the record of `darkroom up`; that the record does it is tested beside the record."""

from __future__ import annotations

import json

import pytest

from darkroom.adapters.eventrecords.http import HttpEventRecords
from darkroom.contract.errors import DependencyUnavailableError
from tests.scripted_http import Reply, scripted_server

JOB_ID = "7f000000-0000-4000-8000-00000000000a"


def test_it_is_told_what_to_forget() -> None:
    with scripted_server(Reply(status=200)) as server:
        HttpEventRecords(server.url).forget([JOB_ID])
    [request] = server.received
    assert request.path == "/record/forget"
    assert json.loads(request.body) == {"containing": [JOB_ID]}


def test_a_refusal_or_silence_means_that_it_is_asked_again() -> None:
    refused = pytest.raises(DependencyUnavailableError, match="answered 503")
    with scripted_server(Reply(status=503)) as server, refused:
        HttpEventRecords(server.url).forget([JOB_ID])
    with pytest.raises(DependencyUnavailableError, match="cannot be reached"):
        HttpEventRecords(server.url).forget([JOB_ID])
