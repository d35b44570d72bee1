"""The test kit for functions: its documentation runs, and it requires no test framework."""

from __future__ import annotations

import json
import textwrap
from itertools import groupby
from typing import Any

import pytest
from cloudevents.http import CloudEvent

from darkroom.contract.errors import DependencyUnavailableError
from darkroom.serving import on_event, testing
from darkroom.serving.testing import MemoryPipeline, deliver
from tests.interpreter import python


def documented_examples() -> list[str]:
    """Return the indented blocks of the kit's docstring: each a function with its tests."""
    lines = (testing.__doc__ or "").splitlines()
    blocks = groupby(lines, key=lambda line: not line or line.startswith("    "))
    blocks_of_code = ("\n".join(block) for is_code, block in blocks if is_code)
    return [textwrap.dedent(block) for block in blocks_of_code if block.strip()]


@pytest.mark.parametrize(("index", "tests"), [(0, 2), (1, 2)])
def test_each_example_of_the_documentation_runs(index: int, tests: int) -> None:
    names: dict[str, Any] = {"__name__": f"example_{index}"}
    exec(compile(documented_examples()[index], f"example {index}", "exec"), names)
    found = [value for name, value in names.items() if name.startswith("test_")]
    for test in found:
        test()
    assert len(found) == tests


def test_there_are_no_other_examples() -> None:
    assert len(documented_examples()) == 2


IMPORTED = """
import json, sys
from darkroom.serving import testing
if sys.argv[1:]:
    getattr(testing, sys.argv[1])
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


@pytest.mark.parametrize("name", testing.__all__)
def test_the_kit_imports_no_test_framework(name: str) -> None:
    done = python(IMPORTED, name)
    assert done.returncode == 0, done.stderr
    assert not {"pytest", "_pytest", "unittest"} & set(json.loads(done.stdout))


def test_who_delivers_events_alone_imports_nothing_of_the_pipelines() -> None:
    done = python(IMPORTED, "deliver")
    assert not {"pydantic", "httpx", "starlette", "redis", "obstore", "pyvips"} & set(json.loads(done.stdout))


def test_what_is_not_in_the_kit_is_no_attribute_of_it() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = testing.nothing


def test_time_passes_for_everything_at_once() -> None:
    pipeline = MemoryPipeline("resize")
    job_id = pipeline.accept()
    pipeline.claim(job_id)
    with pytest.raises(ValueError, match="cannot be claimed"):
        pipeline.claim(job_id)
    signed = pipeline.storage.sign_upload("uploads/x", content_type="image/png", lifetime_s=60)

    pipeline.advance(61)

    assert pipeline.claim(job_id).record.attempts == 2, "the first lease has run out"
    assert signed.expires_at.timestamp() == pipeline.now_s() - 1


def test_a_missing_job_or_result_raises_key_error() -> None:
    pipeline = MemoryPipeline("resize")
    with pytest.raises(KeyError, match="no job"):
        pipeline.record("00000000-0000-0000-0000-000000000007")
    with pytest.raises(KeyError, match="has no result, it is queued"):
        pipeline.stored_result(pipeline.accept())


@on_event("shop.order.placed")
def silent(event: CloudEvent) -> None:
    return None


@pytest.mark.parametrize(("type", "said"), [("shop.order.placed", "answered 204: ''"), ("x", "500: 'this function")])
def test_whoever_looks_at_a_reply_that_is_not_there_is_shown_the_answer(type: str, said: str) -> None:
    delivery = deliver(silent, CloudEvent({"type": type, "source": "/shop"}))
    with pytest.raises(ValueError, match=said):
        _ = delivery.reply


def test_functions_share_what_is_around_them() -> None:
    pipeline = MemoryPipeline("ingest")
    other = pipeline.resources_of("status", settings={"URL_LIFETIME": "30s"})
    assert other.jobs is pipeline.resources.jobs
    assert (other.settings.service, other.settings.url_lifetime_s) == ("status", 30.0)
    pipeline.storage.is_down = True
    with pytest.raises(DependencyUnavailableError):
        other.storage.check()
