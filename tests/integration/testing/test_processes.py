"""The fixture with the project's functions as processes: the same calls, and the functions themselves answer."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from darkroom.testing import Broker, Session
from tests.stack import eventually

SHOP = Path(__file__).parent / "shop"


def patient_shop(folder: Path) -> Path:
    """Copy the shop, with deliveries that wait for a cold start on a busy machine."""
    shutil.copytree(SHOP, folder, dirs_exist_ok=True)
    manifest = folder / "shop.yaml"
    manifest.write_text(manifest.read_text().replace("timeout: PT1S", "timeout: PT30S"))
    return folder


@pytest.fixture(scope="module")
def shop(darkroom_session: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    project = patient_shop(tmp_path_factory.mktemp("shop"))
    with darkroom_session.broker(project, processes=True) as broker:
        for elsewhere in ("ship", "everything"):
            broker.subscribe(elsewhere, lambda event: None)
        yield broker


def test_functions_answer_as_processes(shop: Broker) -> None:
    order = shop.send("shop.order.placed", {"order": 7, "total": 30})
    [shipped] = shop.received("ship", within=30)
    assert shipped.json() == {"order": 7}
    assert shop.attempts(order, "confirm")[0].status == 200
    shop.settled(within=10)


def test_retries_skip_their_backoff_and_end_as_dead_letters(shop: Broker) -> None:
    order = shop.send("shop.order.placed", {"order": 8, "total": 0})
    letters = shop.dead_letters("confirm", within=30)
    assert [letter.id for letter in letters] == [order.id]
    assert shop.delays(order) == [1.0, 2.0, 4.0]
    assert {attempt.outcome for attempt in shop.attempts(order, "confirm")} == {"503 nothing to confirm"}
    shop.settled(within=10)


def test_a_handler_takes_the_place_of_a_process(shop: Broker) -> None:
    shop.subscribe("confirm", lambda event: 400)
    order = shop.send("shop.order.placed", {"order": 9, "total": 30})
    assert [lost.id for lost in shop.lost("confirm")] == [order.id]


def test_a_function_that_does_not_start_is_explained(darkroom_session: Session, tmp_path: Path) -> None:
    (patient_shop(tmp_path) / "functions" / "confirm" / "main.py").write_text("import nothing_of_this_name\n")
    with darkroom_session.broker(tmp_path, processes=True) as broker:
        broker.send("shop.order.placed", {"order": 7})

        def why() -> str:
            with pytest.raises(AssertionError) as failed:
                broker.received("ship", within=0.2)
            return str(failed.value) if "nothing_of_this_name" in str(failed.value) else ""

        assert "confirm" in eventually(why, within_s=60, what="the reason is told")
