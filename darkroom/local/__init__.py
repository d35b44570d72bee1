"""Knative on one machine: the same YAML as on a cluster, with real NATS, Redis-protocol and S3 servers beside it.

No function imports this package. The gateway and the dispatchers pass requests to the `activator`, which holds them
until an instance is ready. Every two seconds, the `scaler` asks the pure `autoscaler` how many instances there should
be. The `broker` stores events in JetStream, from where `dispatch` delivers them to the Triggers' subscribers. `stack`
wires all of it together.
"""
