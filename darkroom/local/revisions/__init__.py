"""Knative Serving: revisions that scale between zero and their maximum, and the path of a request to an instance.

`environment` resolves a Service to a revision. `pool` holds its `instances`. `activator` holds requests until an
instance has room. `scaler` asks the pure `autoscaler` every two seconds how many instances there should be.
"""
