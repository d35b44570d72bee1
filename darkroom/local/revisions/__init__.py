"""Knative Serving: revisions that scale between zero and their maximum, and the way of a request to an instance.

`environment` resolves a Service to a revision; `pool` has its `instances`; `activator` holds requests until one of them
has room; `scaler` asks the pure `autoscaler` every two seconds how many there should be.
"""
