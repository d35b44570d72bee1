"""Darkroom: an image pipeline of serverless functions on Knative, and a local runtime for its Knative YAML.

The packages form two halves over a shared base; import-linter checks the borders.

- Base, nearly pure: `errors`, `problems`, `redaction`, `charts`, `events` (CloudEvents, durations, tracing, strict
  JSON), `telemetry` (spans, metrics, OTLP).
- Application: `contract` (events, jobs, parameters, limits, errors), `imaging` (pixels), `adapters` (one seam per
  outside system), `serving` (turns plain functions into Knative Services), and `client` (the Python client).
- Platform: `manifests` (parses Knative YAML), `local` (runs it on one machine), `check` (reports what a cluster would
  refuse), `testing` (the pytest plugin). It imports nothing of the application.

`pipeline` attaches the application to the platform. `cli`, the command, stands above both.
"""

__version__ = "0.1.0"
