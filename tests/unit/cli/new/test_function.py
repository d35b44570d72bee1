"""`darkroom new function`: what it adds to a project, in this layout and in others."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.check import check
from darkroom.manifests.load import load
from darkroom.manifests.project import read_project
from tests.unit.cli.conftest import Darkroom
from tests.unit.cli.new.conftest import ROOT, files_in, python_in

LONGEST = "a" + "b" * 49
BROKER = """\
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: {name: %s, namespace: bakery}
spec: {config: {apiVersion: v1, kind: ConfigMap, name: config}}
"""


@pytest.fixture
def shop(darkroom: Darkroom, folder: Path) -> Path:
    assert darkroom("new", "project", "shop").exit_code == 0
    return folder


def add_functions(darkroom: Darkroom) -> None:
    for arguments in (
        ("confirm",),
        ("ship-order", "--event-type", "shop.order.confirmed", "--reply-type", "shop.order.shipped"),
        ("hello", "--type", "http", "--path", "/hello"),
        (LONGEST, "--event-type", "e" * 80, "--reply-type", "r" * 80),
    ):
        done = darkroom("new", "function", *arguments)
        assert done.exit_code == 0, done.output


def test_what_is_generated_is_taken_by_the_runtime_and_the_linter_and_passes_its_tests(
    darkroom: Darkroom, shop: Path
) -> None:
    add_functions(darkroom)
    project = read_project(shop)
    manifests = load(project.manifests)
    assert {service.name for service in manifests.services} == {
        "deadletters", "confirm", "ship-order", "hello", LONGEST,
    }  # fmt: skip
    assert [trigger.name for trigger in manifests.triggers] == ["confirm", "ship-order", LONGEST]
    assert [route.name for route in manifests.routes] == ["hello"]
    assert check(project.manifests) == []
    tests = python_in(shop, "pytest", "-q", "-p", "no:cacheprovider")
    assert tests.returncode == 0, tests.stdout
    assert "9 passed" in tests.stdout


@pytest.mark.slow
def test_what_is_generated_has_the_style_and_the_types_of_our_own_code(
    darkroom: Darkroom, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_functions(darkroom)
    ours = str(ROOT / "pyproject.toml")
    monkeypatch.setenv("MYPYPATH", str(ROOT))
    for arguments in (
        # The dead letters' function prints its log.
        ("ruff", "check", "--no-cache", "--extend-ignore", "T201", "--config", ours, "."),
        ("ruff", "format", "--no-cache", "--check", "--config", ours, "."),
        ("mypy", "--config-file", ours, "functions", "tests"),
    ):
        done = python_in(shop, *arguments)
        assert done.returncode == 0, done.stdout


def test_a_trigger_has_all_of_its_delivery_settings(darkroom: Darkroom, shop: Path) -> None:
    darkroom("new", "function", "confirm", "--event-type", "shop.order.placed")
    [trigger] = load(read_project(shop).manifests).triggers
    delivery = trigger.spec.delivery
    assert delivery is not None
    assert None not in (
        delivery.retry, delivery.backoff_policy, delivery.backoff_delay, delivery.timeout, delivery.dead_letter_sink,
    )  # fmt: skip
    assert "type: shop.order.placed" in (shop / "knative" / "confirm.yaml").read_text()


def test_what_to_type_next_is_said(darkroom: Darkroom, shop: Path) -> None:
    done = darkroom("new", "function", "confirm", "--event-type", "shop.order.placed")
    assert "python -m pytest tests/test_confirm.py" in done.output
    assert "darkroom up" in done.output
    assert "darkroom events send shop.order.placed" in done.output
    done = darkroom("new", "function", "hello", "--type", "http")
    assert "curl http://hello.shop.localhost:8080/" in done.output


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ConfirmOrder", "did you mean 'confirm-order'?"),
        ("confirm_order", "did you mean 'confirm-order'?"),
        ("2nd", "did you mean 'nd'?"),
        ("é", "was 'é'"),
        ("a" * 51, "has 51 characters"),
        ("import", "did you mean 'import-event'?"),
        ("on-event", "means something else"),
        ("../x", "did you mean 'x'?"),
    ],
)
def test_a_name_that_would_not_do_is_refused_with_one_that_would(
    darkroom: Darkroom, shop: Path, name: str, words: str
) -> None:
    before = files_in(shop)
    done = darkroom("new", "function", name)
    assert done.exit_code == 2
    assert words in done.output
    assert files_in(shop) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("confirm", "--event-type", 'a"b'), "--event-type: an event type is"),
        (("confirm", "--event-type", "e" * 81), "at most 80"),
        (("confirm", "--event-type", "a.b", "--reply-type", "a.b"), "would get its own replies for ever"),
        (("confirm", "--path", "/x"), "--path belongs to --type http, and this is --type event"),
        (("hello", "--type", "http", "--event-type", "x"), "--event-type belongs to --type event"),
        (("hello", "--type", "http", "--path", "hello"), "--path begins with /"),
        (("grey", "--type", "job"), "works in a checkout of Darkroom only"),
        (("confirm", "--broker", "other"), "there is no Broker other; choose one of shop/default"),
        (("deadletters",), "there is a Service deadletters in the namespace shop already"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    darkroom: Darkroom, shop: Path, arguments: tuple[str, ...], words: str
) -> None:
    before = files_in(shop)
    done = darkroom("new", "function", *arguments)
    assert done.exit_code in {1, 2}
    assert words in done.output
    assert files_in(shop) == before


def test_a_function_is_never_overwritten(darkroom: Darkroom, shop: Path) -> None:
    (shop / "functions" / "confirm").mkdir()
    (shop / "functions" / "confirm" / "main.py").write_text("precious")
    before = files_in(shop)
    done = darkroom("new", "function", "confirm")
    assert done.exit_code == 1
    assert "functions/confirm/main.py is there already" in done.output
    assert files_in(shop) == before


def test_a_folder_that_is_no_project_says_how_to_begin_one(darkroom: Darkroom, folder: Path) -> None:
    done = darkroom("new", "function", "confirm")
    assert done.exit_code == 1
    assert "darkroom new project NAME" in done.output


def test_a_project_without_a_kustomization_and_a_sink_gets_both_functions(darkroom: Darkroom, folder: Path) -> None:
    (folder / "k8s").mkdir()
    (folder / "k8s" / "broker.yaml").write_text(BROKER % "orders")
    done = darkroom("new", "function", "confirm")
    assert done.exit_code == 0, done.output
    assert {"k8s/confirm.yaml", "k8s/deadletters.yaml", "functions/confirm/main.py"} <= files_in(folder).keys()
    assert "bakery.confirm.requested" in (folder / "functions" / "confirm" / "main.py").read_text()


def test_with_two_brokers_one_is_chosen(darkroom: Darkroom, folder: Path) -> None:
    (folder / "k8s").mkdir()
    (folder / "k8s" / "brokers.yaml").write_text(BROKER % "orders" + "---\n" + BROKER % "letters")
    done = darkroom("new", "function", "confirm")
    assert done.exit_code == 1
    assert "there is more than one Broker; choose one of bakery/orders, bakery/letters with --broker" in done.output
    done = darkroom("new", "function", "confirm", "--broker", "letters", "--dry-run")
    assert "broker: letters" in done.output


def test_a_project_without_a_broker_can_have_http_functions_only(darkroom: Darkroom, folder: Path) -> None:
    (folder / "k8s").mkdir()
    (folder / "k8s" / "config.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n")
    done = darkroom("new", "function", "confirm")
    assert done.exit_code == 1
    assert "there is no Broker in k8s/" in done.output
    assert darkroom("new", "function", "hello", "--type", "http").exit_code == 0


def test_yaml_that_cannot_be_read_is_named(darkroom: Darkroom, shop: Path) -> None:
    (shop / "knative" / "broker.yaml").write_text("a: [")
    done = darkroom("new", "function", "confirm")
    assert done.exit_code == 1
    assert "knative/broker.yaml" in done.output
