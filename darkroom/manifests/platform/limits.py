"""Bounds and reserved names of Knative Serving and Eventing, as their webhooks have them without configuration.

Sources: knative/serving pkg/apis/config/defaults.go, pkg/apis/serving/k8s_validation.go and pkg/networking;
eventing-natss for the keys of a Broker's ConfigMap.
"""

from __future__ import annotations

DEFAULT_TIMEOUT_S = 300
MAX_TIMEOUT_S = 600
MAX_CONCURRENCY = 1000
MAX_ID = 2**31 - 1
"""The highest user and group."""
QUEUE_PROXY_PORTS = frozenset({8008, 8012, 8013, 8022, 9090, 9091})
SET_BY_SERVING = frozenset({"PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"})
"""Variables that the webhook refuses; a sidecar may set PORT."""
CHANNEL_TEMPLATE_KEYS = ("channel-template-spec", "channelTemplateSpec")
"""The keys of a Broker's ConfigMap that may hold the channel template."""
