"""Knative Eventing: Brokers on JetStream, Triggers with filters, delivery with retries and dead letters, PingSources.

An event enters through `broker` and is stored in a `stream`. `dispatch` delivers it to each Trigger whose `filters`
pass, by the rules of `delivery`, through `subscribers`.
"""
