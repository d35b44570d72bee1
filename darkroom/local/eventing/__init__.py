"""Knative Eventing: Brokers on JetStream, Triggers with filters, delivery with retries and dead letters, PingSources.

An event enters through `broker`, lies in a `stream`, and `dispatch` delivers it to each Trigger whose `filters` pass,
by the rules of `delivery`. How a subscriber is reached is `subscribers`' business.
"""
