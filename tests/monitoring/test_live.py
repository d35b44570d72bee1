"""Rules and dashboards on a real Prometheus that scrapes a running stack: under load every one of them has data, and
what goes wrong makes the alert fire that is meant for it. An hour is 72 seconds here.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from darkroom.contract.metrics import OBJECTIVE_WITHIN_S
from darkroom.imaging.photograph import make_photograph
from tests.blackbox.metrics import Metrics
from tests.faults.faulty_stack import FaultyStack, faulty_stack
from tests.faults.orders import KILLING_WIDTH
from tests.monitoring.picture import draw
from tests.monitoring.prometheus import Prometheus, needs_prometheus, running_prometheus
from tests.servers import Server, nats_server, redis_server, running
from tests.stack import RunningStack, eventually, running_stack
from tools.monitoring.dashboards import DASHBOARDS
from tools.monitoring.dashboards.panels import PanelKind
from tools.monitoring.files import GROUPS, expressions
from tools.monitoring.promql import RATE_INTERVAL, metrics_in
from tools.monitoring.records import CLUSTER_METRICS, CLUSTER_RECORDS
from tools.monitoring.rules import rule_file
from tools.monitoring.series import ALERTS

pytestmark = [pytest.mark.slow, needs_prometheus, pytest.mark.timeout(600)]

TIME_SCALE = 0.02
INTERVAL = "2s"
RATE_OVER = "10s"
FIRES_WITHIN_S = 90.0
NOT_HERE = CLUSTER_METRICS | CLUSTER_RECORDS | {ALERTS}
"""What only a cluster measures; and there are no alerts when all is well."""


def watched(stack: RunningStack, folder: Path) -> Iterator[Prometheus]:
    rules = rule_file(GROUPS, time_scale=TIME_SCALE)
    target = urlsplit(stack.addresses["admin"]).netloc
    with running_prometheus(folder, targets=[target], rules=rules, interval=INTERVAL) as prometheus:
        eventually(lambda: prometheus.value("darkroom_jobs_outbox"), within_s=60, what="the first scrape")
        yield prometheus


# --- under load ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("stack"), "--window", "6s") as stack:
        yield stack


@pytest.fixture(scope="module")
def loaded(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """After twenty seconds of everything that clients do."""
    for prometheus in watched(stack, tmp_path_factory.mktemp("prometheus")):
        put_under_load(stack, for_s=20)
        yield prometheus


def put_under_load(stack: RunningStack, *, for_s: float) -> None:
    picture = make_photograph(800, 600)
    ends_at = time.monotonic() + for_s
    for round_ in itertools.count():
        ids = stack.submit_many(10, "resize", picture, width=100 + round_, format=("jpeg", "webp", "png")[round_ % 3])
        ids += stack.submit_many(5, "crop", picture, x=1, y=2, width=100, height=50)
        ids += [stack.submit("resize", broken(picture), width=50)]
        assert stack.post("resize", picture, width=0).status_code == 400
        for job_id in ids:
            stack.ended(job_id)
        if time.monotonic() > ends_at:
            return


def broken(picture: bytes) -> bytes:
    """Half of it with an end of image behind: only who decodes it sees that."""
    return picture[: len(picture) // 2] + b"\xff\xd9"


def has_had_data(prometheus: Prometheus, expression: str) -> bool:
    return bool(prometheus.range(expression.replace(RATE_INTERVAL, RATE_OVER), last_s=120, step_s=2))


def test_every_metric_that_a_rule_or_a_dashboard_names_has_data(loaded: Prometheus) -> None:
    named = {name for expression in expressions() for name in metrics_in(expression)} - NOT_HERE
    assert [name for name in sorted(named) if not has_had_data(loaded, name)] == []


def test_every_panel_shows_something(loaded: Prometheus) -> None:
    queries = [
        (f"{dashboard.title}: {panel.title}", query.expression)
        for dashboard in DASHBOARDS
        for panel in dashboard.panels
        for query in panel.queries
        if not metrics_in(query.expression) & NOT_HERE
    ]
    assert [title for title, expression in queries if not has_had_data(loaded, expression)] == []


def test_no_rule_fails(loaded: Prometheus) -> None:
    assert loaded.failed_rules() == []


def test_nothing_fires_that_says_that_something_is_broken(loaded: Prometheus) -> None:
    """Broken pictures are the clients' own affair, and too few to be told of."""
    assert loaded.firing() == set()


def test_a_dashboard_can_be_drawn(loaded: Prometheus, tmp_path: Path) -> None:
    [*_, performance] = DASHBOARDS
    draw(performance, loaded, tmp_path / "page.html", last_s=120, rate_over=RATE_OVER)
    page = (tmp_path / "page.html").read_text()
    graphs = [
        panel.title
        for panel in performance.panels
        if panel.kind is PanelKind.GRAPH and not any(metrics_in(query.expression) & NOT_HERE for query in panel.queries)
    ]
    assert len(graphs) > 3
    assert [title for title in graphs if f"<title>{escape(title)}</title>" not in page] == []


def test_the_black_box_suite_reads_instances_from_prometheus_as_from_the_page(
    loaded: Prometheus, stack: RunningStack
) -> None:
    asked, page = Metrics(url=loaded.url), Metrics(url=f"{stack.addresses['admin']}/metrics")
    eventually(lambda: asked.instances("ingest") == page.instances("ingest") == 1, within_s=30, what="one ingest")


# --- when something goes wrong ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Not the runtime's own, which it would start again at once."""
    with running(nats_server(tmp_path_factory.mktemp("nats"))) as server:
        yield server


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(redis_server(tmp_path_factory.mktemp("redis"))) as server:
        yield server


@pytest.fixture(scope="module")
def faulty(nats: Server, redis: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyStack]:
    options = ("--nats", nats.url, "--redis", redis.url, "--window", "6s")
    with faulty_stack(tmp_path_factory.mktemp("faulty"), *options, sweep_s=5) as faulty:
        yield faulty


@pytest.fixture(scope="module")
def prometheus(faulty: FaultyStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    yield from watched(faulty.stack, tmp_path_factory.mktemp("prometheus"))


def fires(prometheus: Prometheus, *alerts: str, since: float | None = None) -> None:
    """Each of them does at some time, not all of them at once. `since`: also one that is over by now counts."""
    left = set(alerts)

    def none_left() -> bool:
        left.difference_update(prometheus.firing() if since is None else prometheus.fired(last_s=time.time() - since))
        return not left

    eventually(none_left, within_s=FIRES_WITHIN_S, what=f"{', '.join(alerts)} fire")


def ends(prometheus: Prometheus, *alerts: str) -> None:
    eventually(
        lambda: not prometheus.firing() & set(alerts), within_s=FIRES_WITHIN_S, what=f"{', '.join(alerts)} are over"
    )


def test_many_broken_pictures_are_told_of_by_their_code(faulty: FaultyStack, prometheus: Prometheus) -> None:
    picture = broken(make_photograph(400, 300))
    with meanwhile(lambda: faulty.stack.submit_many(5, "resize", picture, width=50)):
        fires(prometheus, "DarkroomJobsFail")
    firing = prometheus.value('ALERTS{alertname="DarkroomJobsFail"}')
    assert {series["metric"]["error_type"] for series in firing} <= {"image.truncated", "image.corrupt"}


@contextmanager
def meanwhile(act: Callable[[], object]) -> Iterator[None]:
    """Twice a second, until the block is done."""
    done = threading.Event()

    def again_and_again() -> None:
        while not done.wait(0.5):
            act()

    with ThreadPoolExecutor(max_workers=1) as threads:
        acting = threads.submit(again_and_again)
        try:
            yield
        finally:
            done.set()
        acting.result(timeout=60)


def test_a_picture_that_kills_its_worker_ends_with_the_dead_letters_and_is_told_of(
    faulty: FaultyStack, prometheus: Prometheus
) -> None:
    with faulty.deadly():
        job_id = faulty.stack.submit("resize", make_photograph(400, 300), width=KILLING_WIDTH)
        fires(prometheus, "DarkroomDeadLettersGrow")
        assert faulty.stack.ended(job_id)["status"] == "failed"


def test_a_nats_that_is_down_is_told_of_and_so_is_the_outbox_that_waits_for_it(
    faulty: FaultyStack, nats: Server, prometheus: Prometheus
) -> None:
    began = time.time()
    nats.kill()
    try:
        # Many enough to count beside those of the last minutes.
        job_ids = faulty.stack.submit_many(80, "resize", make_photograph(400, 300), width=60)
        fires(prometheus, "DarkroomNatsUnhealthy", "DarkroomOutboxStuck")
        eventually(
            lambda: prometheus.value(f"darkroom_jobs_oldest_unfinished_age_seconds > {2 * OBJECTIVE_WITHIN_S}"),
            within_s=FIRES_WITHIN_S,
            what="jobs are late",
        )
    finally:
        nats.start()
    for job_id in job_ids:
        faulty.stack.completed(job_id, within_s=120)
    # They were done, and late.
    fires(prometheus, "DarkroomObjectiveBurnsFast", since=began)
    ends(prometheus, "DarkroomNatsUnhealthy", "DarkroomOutboxStuck")


def test_a_redis_that_is_down_is_told_of_and_so_is_what_clients_get(
    faulty: FaultyStack, redis: Server, prometheus: Prometheus
) -> None:
    statuses = set()
    redis.kill()
    try:
        with meanwhile(lambda: statuses.add(httpx.get(f"{faulty.stack.addresses['api']}/api/v1/jobs").status_code)):
            fires(prometheus, "DarkroomServerDown", "DarkroomMetricsMissing", "DarkroomApiErrors")
    finally:
        redis.start()
    assert statuses == {503}
    ends(prometheus, "DarkroomServerDown", "DarkroomMetricsMissing")
