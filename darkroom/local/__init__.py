"""Knative on one machine: the same YAML as on the cluster, with real NATS, Redis-protocol and S3 servers beside it.

No function imports this package. What flows: `gateway` and `dispatch` hand requests to the `activator`, which holds
them until `instances` has a process ready; `scaler` asks the pure `autoscaler` every two seconds how many there should
be; `broker` takes events into JetStream, from which `dispatch` delivers them by the Triggers. All of it is wired in
`stack`.
"""
