"""The Python client, for programs and for the command line.

    from darkroom.client import Client

    with Client("http://127.0.0.1:8080", api_key="drk_...") as darkroom:
        job = darkroom.submit("demo-output/original.jpg", "resize", width=400).wait()
        job.save("small.jpg")
        darkroom.renditions("demo-output/original.jpg", presets=["thumb", "hero"]).wait().save_all("demo-output")

`AsyncClient` has the same methods, as coroutines. `protocol` defines the requests and responses, once for both; the
clients only send and sleep. Nothing here knows what runs behind the API: of Darkroom it imports only
`darkroom.contract`.
"""

from darkroom.client.asynchronous import AsyncClient, AsyncJob
from darkroom.client.errors import (
    ApiError,
    ClientError,
    JobFailedError,
    JobUnreadableError,
    NotAnsweringError,
    StillRunningError,
)
from darkroom.client.jobs import JobState
from darkroom.client.protocol import Stored
from darkroom.client.synchronous import Client, Job

__all__ = [
    "ApiError",
    "AsyncClient",
    "AsyncJob",
    "Client",
    "ClientError",
    "Job",
    "JobFailedError",
    "JobState",
    "JobUnreadableError",
    "NotAnsweringError",
    "StillRunningError",
    "Stored",
]
