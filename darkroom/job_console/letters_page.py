"""The dead letters: in groups, with what a redrive would do, and what one does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Literal

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from darkroom.adapters.deadletters import KeptDeadLetter
from darkroom.console.forms import Form, form_of
from darkroom.console.shell import Attempt, Shell
from darkroom.console.streams import Update
from darkroom.contract.errors import FieldError, ParametersInvalidError
from darkroom.contract.metrics import DEAD_LETTERS
from darkroom.job_console.letter_plans import Plan, Plans, dry_run, redriven
from darkroom.job_console.letter_runs import ActOn, Run, Runs
from darkroom.redriving.groups import GroupKey, group_letters
from darkroom.redriving.keeper_files import KeeperFiles
from darkroom.redriving.letters import kind, subject
from darkroom.redriving.redrive import Redrive
from darkroom.redriving.selection import Selection, select
from darkroom.serving.resources import Resources

MOST_READ = 5000
"""Letters that one page reads: each is a message of its own. The oldest; the page says how many there are."""
SHOWN_PER_GROUP = 20
DEFAULT_RATE = 10.0
FASTEST_RATE = 1000.0
REFRESHED_EVERY_S = 0.5


@dataclass(frozen=True, kw_only=True)
class ReadLetters:
    letters: Sequence[KeptDeadLetter]
    kept: int
    """How many there are."""


class LettersPage:
    def __init__(self, shell: Shell, resources: Resources) -> None:
        self._shell = shell
        self._resources = resources
        self._plans = Plans()
        self.runs = Runs()

    # --- what is kept ------------------------------------------------------------------------------------------------

    async def show(self, request: Request) -> Response:
        job = request.query_params.get("job", "").strip().lower()[:36]
        read = await asyncio.to_thread(self._read, Selection(job_id=job or None))
        operator = self._shell.operator(request)
        return self._shell.page(
            request,
            "jobs/deadletters.html",
            title="Dead letters",
            groups=group_letters(read.letters, now=datetime.now(UTC)),
            read=read,
            most_read=MOST_READ,
            shown=SHOWN_PER_GROUP,
            subject=subject,
            job=job,
            default_rate=DEFAULT_RATE,
            runs=self.runs.latest,
            may_act=operator is not None and operator.may_act,
        )

    async def show_letter(self, request: Request) -> Response:
        number = request.path_params["number"]
        kept = await asyncio.to_thread(self._resources.dead_letters.get, number) if number < 2**63 else None
        if kept is None:
            return self._shell.refusal(request, 404, f"There is no dead letter {number}: it was redriven or dropped.")
        return self._shell.page(
            request,
            "jobs/deadletter.html",
            title=f"Dead letter {number}",
            kept=kept,
            kind=kind(kept.letter),
            event=json.dumps(kept.letter.event, indent=2, ensure_ascii=False),
        )

    def _read(self, selection: Selection) -> ReadLetters:
        letters = self._resources.dead_letters
        found = list(islice(select(letters, selection), MOST_READ))
        kept = letters.readings()[DEAD_LETTERS][()]
        return ReadLetters(letters=found, kept=int(kept) if isinstance(kept, int | float) else len(found))

    # --- the dry run -------------------------------------------------------------------------------------------------

    async def plan(self, request: Request, attempt: Attempt) -> Response:
        """Fix the selection, and say what a redrive would do. Raises ParametersInvalidError for one of nothing."""
        form = await form_of(request)
        plan = await asyncio.to_thread(self._make_plan, form)
        self._plans.add(plan)
        attempt.target = plan.described
        attempt.details |= {"letters": len(plan.letters), **plan.outcomes}
        return self._shell.redirect(f"/deadletters/plans/{plan.id}")

    def _make_plan(self, form: Form) -> Plan:
        wanted, changes = form.all("group"), changes_in(form.get("set", ""))
        job = form.get("job", "")
        now = datetime.now(UTC)
        chosen = [
            kept
            for kept in self._read(Selection(job_id=job or None)).letters
            if GroupKey.of(kept, now=now).text in wanted
        ]
        at_most = _number(form, "at_most", least=1, most=MOST_READ)
        chosen = chosen if at_most is None else chosen[: int(at_most)]
        if not chosen:
            message = "select at least one" if not wanted else "its letters were redriven or dropped meanwhile"
            raise ParametersInvalidError([FieldError(field="group", message=message)])
        outcomes = dry_run(self._redrive(changes), chosen, changes)
        return Plan(letters=chosen, changes=changes, described=_described(chosen), outcomes=outcomes)

    async def show_plan(self, request: Request) -> Response:
        plan = self._plans.get(request.path_params["plan"])
        if plan is None:
            return self._shell.refusal(request, 404, "This selection is not known any more: select the letters again.")
        operator = self._shell.operator(request)
        return self._shell.page(
            request,
            "jobs/plan.html",
            title="Dry run",
            plan=plan,
            subject=subject,
            shown=SHOWN_PER_GROUP,
            default_rate=DEFAULT_RATE,
            fastest_rate=FASTEST_RATE,
            may_act=operator is not None and operator.may_act,
        )

    # --- the run -----------------------------------------------------------------------------------------------------

    async def redrive(self, request: Request, attempt: Attempt) -> Response:
        return await self._begin(request, attempt, "redrive")

    async def drop(self, request: Request, attempt: Attempt) -> Response:
        return await self._begin(request, attempt, "drop")

    async def _begin(self, request: Request, attempt: Attempt, action: Literal["redrive", "drop"]) -> Response:
        plan = self._plans.get(request.path_params["plan"])
        if plan is None:
            attempt.outcome = "refused"
            return self._shell.refusal(request, 404, "This selection is not known any more: select the letters again.")
        form = await form_of(request)
        rate = _number(form, "rate", least=0.01, most=FASTEST_RATE) if action == "redrive" else None
        run = Run(action=action, plan=plan, who=attempt.operator.name, rate=rate)
        act_on = self._redriving(plan.changes) if action == "redrive" else self._dropping()
        attempt.target, attempt.outcome = plan.described, "begun"
        attempt.details |= {"run": run.id, "letters": run.total, **({"rate": f"{rate:g}/s"} if rate else {})}
        self.runs.add(run)
        response = self._shell.redirect(f"/deadletters/runs/{run.id}")
        # Only then is the audit entry of this request written, which the one of the run's end has to follow.
        response.background = BackgroundTask(self.runs.begin, run, act_on, self._record_end)
        return response

    def _redriving(self, changes: Mapping[str, str]) -> ActOn:
        redrive = self._redrive(changes)
        return lambda kept: redriven(redrive, kept, changes, dry_run=False)

    def _dropping(self) -> ActOn:
        letters = self._resources.dead_letters
        return lambda kept: "dropped" if letters.drop(kept.sequence) else "was gone already"

    def _redrive(self, changes: Mapping[str, str]) -> Redrive:
        resources = self._resources
        keepers = KeeperFiles(resources.storage) if changes else None
        return Redrive(resources.jobs, resources.dead_letters, resources.emitter, keepers)

    def _record_end(self, run: Run) -> None:
        action = f"dead letters: {run.action} ended"
        outcome = "done" if run.state == "finished" else run.state
        self._shell.audit.record(run.who, action, run.plan.described, outcome, {"run": run.id, **run.summary})

    async def show_run(self, request: Request) -> Response:
        run = self.runs.get(request.path_params["run"])
        if run is None:
            sentence = "This run is not known to this process of the console; the audit log has what became of it."
            return self._shell.refusal(request, 404, sentence)
        operator = self._shell.operator(request)
        title = "Redrive" if run.action == "redrive" else "Drop"
        may_act = operator is not None and operator.may_act
        return self._shell.page(request, "jobs/run.html", title=title, run=run, may_act=may_act)

    async def stop_run(self, request: Request, attempt: Attempt) -> Response:
        run = self.runs.get(request.path_params["run"])
        if run is None or not run.is_running:
            attempt.outcome = "refused"
            return self._shell.refusal(request, 404, "This run has ended already.")
        attempt.target = run.plan.described
        attempt.details |= {"run": run.id, "done": run.done, "of": run.total}
        run.stop()
        return self._shell.redirect(f"/deadletters/runs/{run.id}")

    async def stream_run(self, request: Request) -> Response:
        run = self.runs.get(request.path_params["run"])
        if run is None:
            return self._shell.refusal(request, 404, "This run is not known any more.")
        return self._shell.stream(request, self._progress(run))

    async def _progress(self, run: Run) -> AsyncGenerator[Update, None]:
        is_running = True
        while is_running:
            is_running = run.is_running
            yield Update(region="run-state", html=self._shell.fragment("jobs/run_state.html", run=run))
            await asyncio.sleep(REFRESHED_EVERY_S)
        # An ended stream would be opened again and again.
        await asyncio.Event().wait()


def changes_in(text: str) -> dict[str, str]:
    """Parse lines of NAME=VALUE. Raises ParametersInvalidError."""
    changes = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, equals, value = line.partition("=")
        if not name.strip() or not equals:
            raise ParametersInvalidError([FieldError(field="set", message="takes lines of NAME=VALUE", value=line)])
        changes[name.strip()] = value.strip()
    return changes


def _number(form: Form, name: str, *, least: float, most: float) -> float | None:
    """Return a field's number; None if it is empty. Raises ParametersInvalidError."""
    text = form.get(name, "").strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not least <= number <= most:
        message = f"must be a number from {least:g} to {most:g}"
        raise ParametersInvalidError([FieldError(field=name, message=message, value=text)])
    return number


def _described(letters: Sequence[KeptDeadLetter]) -> str:
    """Describe a selection for the audit log: how many, and of what."""
    keys = (GroupKey.of(kept, now=kept.kept_at) for kept in letters)
    groups = {f"{key.reason} of {key.kind}" for key in keys}
    named = ", ".join(sorted(groups)[:5]) + (" and others" if len(groups) > 5 else "")
    return f"{len(letters)} dead letter{'' if len(letters) == 1 else 's'}: {named}"
