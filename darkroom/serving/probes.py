"""The path that readiness probes request, from HTTP functions and event functions alike."""

STARTUP_PATH = "/health/startup"
"""Whether the function has everything that the platform injects after a first start."""
