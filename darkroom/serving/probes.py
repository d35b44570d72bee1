"""What a readinessProbe asks, and functions of both kinds answer."""

STARTUP_PATH = "/health/startup"
"""Whether the function has everything that the platform injects after a first start."""
