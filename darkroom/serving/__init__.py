"""What turns a plain function into a good Knative citizen.

`event_function` wraps the work of one kind of job: claim, lease, fetching, storing, replying, errors and logs are ours,
the pixels are the function's. `http_function` does the same for functions that answer people. Nothing here knows which
function it serves, nor whether it runs in a cluster or in the local runtime.
"""

from darkroom.serving.events import event_function
from darkroom.serving.picture import Picture
from darkroom.serving.work import Job

__all__ = ["Job", "Picture", "event_function"]
