"""The page's numbers are those of the samples, and the charts' marks are in the right places."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from darkroom.contract.jobs import JobStatus
from loadtests.ledger import FollowedJob
from loadtests.load import Request
from loadtests.objective import Objective
from loadtests.observing import ColdStart, Observation, Observed
from loadtests.report import report, write_report
from loadtests.series import Series
from loadtests.shapes import SHAPES
from loadtests.summary import RunSummary
from loadtests.verdict import Verdict

BEGAN_AT = 1_700_000_000.0


def job(number: int, *, posted_s: float, took_s: float | None, order: str = "resize 2K") -> FollowedJob:
    posted_at = BEGAN_AT + posted_s
    return FollowedJob(
        job_id=f"job-{number}",
        order=order,
        posted_at=posted_at,
        accepted_at=posted_at + 0.001,
        ended_at=None if took_s is None else posted_at + took_s,
        status=None if took_s is None else JobStatus.COMPLETED,
    )


def summary(jobs: list[FollowedJob], **changes: Any) -> RunSummary:
    times_s = [one.took_s for one in jobs if one.took_s is not None]
    facts: dict[str, Any] = {
        "shape": SHAPES["burst"],
        "scale": 1.0,
        "stretch": 1.0,
        "seed": 1,
        "generators": 1,
        "lost_workers": (),
        "hopeless": None,
        "interrupted": False,
        "submissions": (),
        "input_bytes": {},
        "host": "http://127.0.0.1:8080",
        "began_at": BEGAN_AT,
        "visitors": len(jobs),
        "came": len(jobs),
        "latest_s": 0.0,
        "busy_before": 0.0,
        "generator_cpu_s": 2.5,
        "posted_at": [one.posted_at for one in jobs],
        "evaluated_at": BEGAN_AT + 100,
        "turned_away": 0,
        "cut_off": 0,
        "refusals": {},
        "jobs": jobs,
        "requests": [Request(name="POST resize", at=BEGAN_AT, took_s=0.05, failed=False)],
        "observed": None,
        "verdict": Verdict(accepted=len(jobs), completed=len(times_s)),
        "objective_result": Objective().evaluate(times_s, asked=len(jobs)),
    }
    return RunSummary(**{**facts, **changes})


@pytest.fixture
def jobs() -> list[FollowedJob]:
    """A hundred jobs, one every tenth of a second, each a hundredth slower than the one before."""
    return [job(number, posted_s=number / 10, took_s=(number + 1) / 100) for number in range(100)]


class Page(HTMLParser):
    """Return the rows of all tables, and the page's facts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._in_cell = False
        self.feed(html)
        found = re.search(r'<script type="application/json" id="facts">(.*?)</script>', html, re.DOTALL)
        assert found is not None
        self.facts: dict[str, Any] = json.loads(found[1])

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in {"td", "th"}

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] += data


def test_the_percentiles_on_the_page_are_those_of_the_jobs(jobs: list[FollowedJob]) -> None:
    page = Page(report(summary(jobs)))
    assert ["all", "100", "500 ms", "900 ms", "990 ms", "1.00 s"] in page.rows
    assert page.facts["job_s"]["all"] == {"count": 100, "p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    assert page.facts["passed"] is True


def test_each_kind_has_its_own_percentiles(jobs: list[FollowedJob]) -> None:
    page = Page(report(summary([*jobs, job(100, posted_s=3, took_s=2, order="crop 2K")])))
    assert ["crop 2K", "1", "2.00 s", "2.00 s", "2.00 s", "2.00 s"] in page.rows
    assert page.facts["job_s"]["resize 2K"]["count"] == 100


def test_what_the_ledger_found_is_the_first_thing_that_a_reader_sees(jobs: list[FollowedJob]) -> None:
    verdict = Verdict(accepted=100, completed=99, lost=["job-7 (resize 2K): accepted, and it is gone"], stuck=["job-8"])
    html = report(summary(jobs, verdict=verdict))
    page = Page(html)
    assert page.facts["faults"] == ["the ledger is not clean: 1 lost, 1 stuck"]
    assert page.facts["ledger"] == {
        "accepted": 100, "completed": 99, "failed": 0, "lost": 1, "doubled": 0, "stuck": 1
    }  # fmt: skip
    assert html.index("lost: job-7 (resize 2K)") < html.index("<svg")


def test_an_objective_that_did_not_hold_says_by_how_much(jobs: list[FollowedJob]) -> None:
    slow = [*jobs[:90], *(job(number, posted_s=9, took_s=12) for number in range(90, 100))]
    result = summary(slow)
    assert not result.passed
    [fault] = Page(report(result)).facts["faults"]
    assert fault == ("the objective did not hold: 90 % of 100 pictures were done within 10 s, wanted are 99.5 %")
    assert f"failed      {fault}" in result.lines()


def test_an_interrupted_run_and_a_late_load_are_reported(jobs: list[FollowedJob]) -> None:
    facts = Page(report(summary(jobs, visitors=500, latest_s=2.5))).facts
    assert facts["faults"] == ["interrupted: 100 of 500 visitors had come"]
    assert "late by up to 2.5 s" in facts["warnings"][0]


def test_a_machine_that_was_busy_already_is_reported(jobs: list[FollowedJob]) -> None:
    [warning] = summary(jobs, busy_before=99.0).warnings()
    assert "load average 99.0" in warning


def test_the_page_needs_nothing_from_elsewhere(jobs: list[FollowedJob]) -> None:
    page = Page(report(summary(jobs)))
    for tag, attributes in page.tags:
        assert tag not in {"link", "img", "iframe"}
        assert not {"src", "href"} & attributes.keys()
    assert [tag for tag, _ in page.tags].count("desc") == 4


def test_what_strangers_name_is_text_and_no_markup(jobs: list[FollowedJob], tmp_path: Path) -> None:
    nasty = replace(summary(jobs), host="http://x/</script><script>alert(1)</script>")
    write_report(nasty, tmp_path / "deep" / "report.html")
    html = (tmp_path / "deep" / "report.html").read_text()
    assert "<script>alert" not in html
    assert Page(html).facts["host"] == nasty.host


def test_many_broken_promises_are_all_on_the_page_and_only_some_of_them_at_its_top(jobs: list[FollowedJob]) -> None:
    html = report(summary(jobs, verdict=Verdict(stuck=[f"job-{number}: still queued" for number in range(30)])))
    top, _, rest = html.partition("<svg")
    assert "and 22 more, at the end of this page" in top
    assert "job-29" not in top
    assert "<td>stuck: job-29: still queued</td>" in rest


def test_a_run_with_a_job_that_never_ended_goes_on_to_where_nobody_waited_for_it(jobs: list[FollowedJob]) -> None:
    result = summary([*jobs, job(100, posted_s=1, took_s=None)])
    assert Series(result).ended_s == 100
    assert "<b>never</b><span>1 had no end 100 s after the first came</span>" in report(result)


def test_pictures_that_were_turned_away_were_handed_in_all_the_same(jobs: list[FollowedJob]) -> None:
    posted_at = [*(one.posted_at for one in jobs), *[BEGAN_AT + 0.5] * 7]
    result = summary(jobs, posted_at=posted_at, turned_away=7)
    assert Series(result).handed_in()[0] == (0.0, 17.0)
    assert Page(report(result)).facts["pictures"] == {"asked": 107, "turned_away": 7, "cut_off": 0}


def test_a_run_in_which_nothing_was_done_still_has_a_page() -> None:
    page = Page(report(summary([job(0, posted_s=0, took_s=None)])))
    assert page.facts["job_s"] == {}
    assert page.facts["objective"]["reached"] == 0


def observed() -> Observed:
    def at(seconds: float, wanted: int, ready: int) -> Observation:
        return Observation(
            at=BEGAN_AT + seconds,
            backlog=wanted * 10,
            wanted={"resize": wanted, "crop": 0},
            ready={"resize": ready, "crop": 0},
            cold_starts={},
            capped=frozenset({"resize"} if wanted > 2 else ()),
        )

    return Observed(
        source="the local runtime",
        observations=[at(-1, 0, 0), at(0.5, 1, 0), at(1, 4, 2)],
        cold_starts=[ColdStart(at=BEGAN_AT + 0.9, service="resize", took_s=0.42)],
    )


def test_the_instances_of_each_function_that_had_any_are_drawn_with_its_cold_starts(jobs: list[FollowedJob]) -> None:
    result = summary(jobs, observed=observed())
    html = report(result)
    assert "Instances of resize, wanted and ready" in html
    assert "Instances of crop" not in html
    assert "1 cold start, the slowest 420 ms, more were wanted than this machine may run" in html
    assert Page(html).facts["cold_starts"] == {"resize": 1}
    wanted, ready = Series(result).instances()["resize"]
    assert wanted == [(-1.0, 0.0), (0.5, 1.0), (1.0, 4.0)]
    assert ready[-1] == (1.0, 2.0)


def test_without_an_observer_the_page_says_why_there_are_no_instances(jobs: list[FollowedJob]) -> None:
    assert "Not shown: nobody was asked for them" in report(summary(jobs))


def test_pictures_are_counted_in_the_second_they_were_handed_in_and_done(jobs: list[FollowedJob]) -> None:
    series = Series(summary(jobs))
    assert series.handed_in()[:2] == [(0.0, 10.0), (1.0, 10.0)]
    assert sum(count for _, count in series.done()) == 100
    assert series.not_done_yet()[-1][1] == 0
    assert max(count for _, count in series.not_done_yet()) == 10


def test_the_charts_say_in_words_what_they_show(jobs: list[FollowedJob]) -> None:
    html = report(summary(jobs, observed=observed()))
    [rates, backlog, instances, took, distribution] = re.findall("<desc>(.*?)</desc>", html)
    assert "handed in: at most 10, last" in rates
    assert "accepted and not done (as the visitors see it): at most 10, last 0." in backlog
    assert "ready: at most 2, last 2." in instances
    assert "p99: at most" in took
    assert "jobs: at most" in distribution


def test_the_headline_has_the_numbers_of_the_run_and_not_those_of_the_table(jobs: list[FollowedJob]) -> None:
    html = report(summary(jobs, scale=0.06, stretch=0.5, shape=SHAPES["burst"].stretched(0.5)))
    assert "15 pictures within 5 s, then nothing (scale 0.06, stretch 0.5)." in html
    assert "500" not in html.partition("<header>")[2].partition("</header>")[0]


def test_the_slowest_of_a_few_is_not_called_a_percentile() -> None:
    few = [job(number, posted_s=number / 10, took_s=1 + number) for number in range(9)]
    assert "9.00 s</b><span>POST to done, the slowest of 9<" in report(summary(few))


def test_the_last_arrival_is_that_of_the_run_though_the_shape_lasts_longer() -> None:
    html = report(summary([job(1, posted_s=0.5, took_s=1.0), job(2, posted_s=2.25, took_s=0.5)]))
    assert "2.8 s</b><span>until the last was done; the last one came after 2.2 s<" in html


def test_pollings_resolution_is_explained_and_its_jobs_are_shown_apart(jobs: list[FollowedJob]) -> None:
    for number, one in enumerate(jobs):
        one.seen_by = "polling" if number < 30 else "waiting"
        one.document = {"created_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:00:00.250000Z"}
    page = report(summary(jobs))
    assert "30 of 100 jobs belong to visitors who look every 1 s and see an end up to 1 s late" in page
    rows = {row[0]: row[1:4] for row in Page(page).rows if len(row) == 5}
    assert rows["polling"] == ["30", "150 ms", "300 ms"]
    assert rows["waiting"][0] == "70"
    assert rows["record"] == ["100", "250 ms", "250 ms"]


def test_without_polling_nothing_is_said_of_it(jobs: list[FollowedJob]) -> None:
    assert "their dots lie in bands" not in report(summary(jobs))


def test_a_lost_load_generator_fails_the_run_and_is_no_interrupt(jobs: list[FollowedJob]) -> None:
    result = summary(jobs, lost_workers=("vm_1 did not report how it ended",), visitors=120)
    assert result.faults() == ["a load generator was lost: vm_1 did not report how it ended"]


def test_a_hopeless_load_says_why_it_ended_early(jobs: list[FollowedJob]) -> None:
    result = summary(jobs, hopeless="the first 5 submissions were refused", visitors=500)
    assert "ended early: the first 5 submissions were refused" in result.faults()
