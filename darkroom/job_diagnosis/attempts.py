"""Jobs whose picture ends its worker, as long as attempts are left. Afterwards the job is a dead letter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from darkroom.adapters.jobs.condition import STRUCK_CODES
from darkroom.contract.errors import JobTimeoutError
from darkroom.contract.jobs import JobRecord
from darkroom.diagnosis import Finding
from darkroom.diagnosis.words import counted

CODE = "picture.kills"
REMEDY = (
    "Nothing is lost, and other jobs go on. The picture is in storage as the job's original: look at it, and at what "
    "the function logged when it ended (`darkroom logs {job_id}`)."
)


def struck_findings(struck: Sequence[JobRecord]) -> Iterator[Finding]:
    for record in struck:
        ended = [attempt for attempt in record.history if attempt.code in STRUCK_CODES]
        yield Finding(
            code=CODE,
            severity="delay",
            subject=f"job {record.job_id}",
            sentence=(
                f"{killed(str(record.job_id), record.type, len(ended), ended[-1].code or '')}. It is tried again, and "
                "then given up."
            ),
            remedy=f"{REMEDY.format(job_id=record.job_id)} `darkroom cancel {record.job_id}` ends it now.",
            since=ended[0].started_at.timestamp(),
            link=f"/jobs/{record.job_id}",
        )


def killed(job_id: str, job_type: str, attempts: int, code: str) -> str:
    """Say that attempts of a job ended with the worker's death."""
    how = "overran its time limit" if code == JobTimeoutError.code else "killed its worker"
    return f"the picture of {job_type} job {job_id} {how} in {counted(attempts, 'attempt')} ({code})"
