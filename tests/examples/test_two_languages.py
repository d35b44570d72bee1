"""The example of two languages, as its README runs it: Node.js and Go behind one Broker."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from darkroom.events.cloudevents import encode_binary, new_event
from tests.stack import ROOT, RunningStack, eventually

EXAMPLE = ROOT / "examples" / "two-languages"
HAS_GO = shutil.which("go") is not None

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    project = tmp_path_factory.mktemp("example") / "two-languages"
    shutil.copytree(EXAMPLE, project)
    # Given last, --watch wins over the kit's own --no-watch.
    running = RunningStack(data=project / ".darkroom", cwd=project, options=("--watch",))
    try:
        running.start()
        yield running
    finally:
        running.kill()


def place_order(stack: RunningStack, number: int) -> None:
    order = {"number": number, "items": [{"price": 4.5, "count": 2}]}
    headers, body = encode_binary(new_event("shop.order.placed", "/checkout", order))
    answer = httpx.post(f"{stack.addresses['broker']}/shop/shop", headers=headers, content=body)
    assert answer.status_code == 202


def log_of(stack: RunningStack, service: str) -> str:
    file = stack.data / "logs" / f"{service}.log"
    return file.read_text() if file.exists() else ""


def test_an_order_is_confirmed_by_node_and_the_answer_goes_to_the_other_function(stack: RunningStack) -> None:
    place_order(stack, 7)
    eventually(lambda: "order 7: 9 EUR" in log_of(stack, "orders"), within_s=30, what="the order is in the log")
    eventually(lambda: stack.trigger("orders")["delivered"] >= 1, within_s=20, what="it is delivered")
    if HAS_GO:
        eventually(
            lambda: "invoice for order 7: 9.00 EUR" in log_of(stack, "invoices"), within_s=120, what="the invoice"
        )


@pytest.mark.skipif(HAS_GO, reason="Go is installed, so both functions run")
def test_without_go_its_function_is_left_out_with_a_sentence_and_the_rest_runs(stack: RunningStack) -> None:
    row = stack.function("invoices")
    assert row["not_run"].startswith("invoices: no way to start image dev.local/shop/invoices is known: ")
    assert "there is no go on PATH" in row["not_run"]
    assert row["not_run"] in stack.log.read_text(), "the banner says it too"
    place_order(stack, 8)
    failure = eventually(lambda: stack.trigger("invoices")["last_failure"], within_s=30, what="a delivery that failed")
    assert "503" in str(failure)


def test_an_edited_function_meets_the_next_order(stack: RunningStack) -> None:
    server = Path(stack.cwd) / "functions" / "orders" / "server.js"
    server.write_text(server.read_text().replace("order ${order.number}:", "edited: order ${order.number}:"))
    eventually(lambda: stack.events(action="revision.replaced"), within_s=30, what="the change is taken up")
    place_order(stack, 9)
    eventually(lambda: "edited: order 9: 9 EUR" in log_of(stack, "orders"), within_s=30, what="the edited code ran")


def test_a_changed_variable_in_the_services_yaml_is_a_new_revision(stack: RunningStack) -> None:
    services = Path(stack.cwd) / "knative" / "services.yaml"
    before = stack.function("orders")["revision"]
    services.write_text(services.read_text().replace("value: EUR", "value: CHF"))
    eventually(lambda: stack.events(action="manifests.changed"), within_s=30, what="the change is seen")
    eventually(lambda: stack.function("orders")["revision"] != before, within_s=30, what="there is a new revision")
    place_order(stack, 10)
    eventually(lambda: "order 10: 9 CHF" in log_of(stack, "orders"), within_s=30, what="the new variable is used")


def test_a_change_of_another_kind_is_announced(stack: RunningStack) -> None:
    triggers = Path(stack.cwd) / "knative" / "triggers.yaml"
    triggers.write_text(triggers.read_text().replace("retry: 3", "retry: 4", 1))
    [event] = eventually(lambda: stack.events(action="manifests.not_taken_up"), within_s=30, what="it is announced")
    assert event["resource"] == "Trigger orders"
    assert event["detail"] == f"restart `darkroom up` to take up the change of {Path('knative/triggers.yaml')}"
