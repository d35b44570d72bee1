"""recovery: what guarantees an end for every job. It takes dead letters and rejected events, and sweeps when woken."""

from darkroom.serving.events import serve_events
from darkroom.serving.startup import start
from functions.recovery.recovering import Recovering

resources = start(needs=frozenset({"REDIS_URL", "NATS_URL", "K_SINK"}))

recovery = serve_events("recovery", Recovering(resources).handle, resources.settings.service)
