"""The channels and Subscriptions of the manifests, with those that Knative makes for Sequences and Parallels.

Pure. Names and links are those of the cluster's controllers (knative/eventing, pkg/reconciler/sequence/resources and
pkg/reconciler/parallel/resources), so that a stream or a Subscription is called the same there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from darkroom.local.eventing.destinations import parallel_channel, sequence_channel
from darkroom.local.eventing.receivers import SubscriptionPlan
from darkroom.manifests import ChannelTemplate, Delivery, Destination, Manifests, with_namespace
from darkroom.manifests.messaging import (
    AnyChannel,
    Branch,
    Channel,
    Parallel,
    Sequence,
    Subscription,
    Templated,
)


@dataclass(frozen=True, kw_only=True)
class ChannelPlan:
    namespace: str
    name: str
    template: ChannelTemplate
    delivery: Delivery | None = None

    @property
    def address(self) -> tuple[str, str]:
        return (self.namespace, self.name)


def planned_channels(manifests: Manifests) -> list[ChannelPlan]:
    plans = [_channel(channel) for channel in manifests.messaging_channels]
    for sequence in manifests.sequences:
        names = [sequence_channel(sequence.name, step) for step in range(len(sequence.spec.steps))]
        plans += [_made_channel(sequence.namespace, name, sequence.spec) for name in names]
    for parallel in manifests.parallels:
        branches = [parallel_channel(parallel.name, index) for index in range(len(parallel.spec.branches))]
        names = [parallel_channel(parallel.name), *branches]
        plans += [_made_channel(parallel.namespace, name, parallel.spec) for name in names]
    return plans


def planned_subscriptions(manifests: Manifests) -> list[SubscriptionPlan]:
    return [
        *(_subscription(subscription) for subscription in manifests.subscriptions),
        *(plan for sequence in manifests.sequences for plan in _sequence_subscriptions(sequence)),
        *(plan for parallel in manifests.parallels for plan in _parallel_subscriptions(parallel)),
    ]


def _channel(channel: AnyChannel) -> ChannelPlan:
    if isinstance(channel, Channel):
        made = _made_channel(channel.namespace, channel.name, channel.spec)
        return replace(made, delivery=channel.spec.delivery or made.delivery)
    return ChannelPlan(
        namespace=channel.namespace,
        name=channel.name,
        template=channel.spec.template(),
        delivery=channel.spec.delivery,
    )


def _made_channel(namespace: str, name: str, owner: Templated) -> ChannelPlan:
    template = owner.channel_template
    return ChannelPlan(
        namespace=namespace,
        name=name,
        template=template.spec.template(),
        delivery=template.spec.delivery,
    )


def _subscription(subscription: Subscription) -> SubscriptionPlan:
    spec, namespace = subscription.spec, subscription.namespace
    return SubscriptionPlan(
        namespace=namespace,
        name=subscription.name,
        channel=spec.channel.name,
        subscriber=with_namespace(spec.subscriber, namespace),
        reply=_placed(spec.reply, namespace),
        delivery=spec.delivery,
    )


def _sequence_subscriptions(sequence: Sequence) -> Iterator[SubscriptionPlan]:
    """One for each step: what it answers goes to the next step's channel, and from the last one to `reply`."""
    namespace, steps = sequence.namespace, sequence.spec.steps
    for index, step in enumerate(steps):
        is_last = index == len(steps) - 1
        following = _to_channel(sequence.spec, namespace, sequence_channel(sequence.name, index + 1))
        yield SubscriptionPlan(
            namespace=namespace,
            name=sequence_channel(sequence.name, index),
            channel=sequence_channel(sequence.name, index),
            subscriber=with_namespace(step.destination, namespace),
            reply=_placed(sequence.spec.reply, namespace) if is_last else following,
            delivery=step.delivery,
        )


def _parallel_subscriptions(parallel: Parallel) -> Iterator[SubscriptionPlan]:
    """Two for each branch: from the first channel through the filter to the branch's own, and on to the subscriber."""
    for index, branch in enumerate(parallel.spec.branches):
        yield _filter_subscription(parallel, index, branch)
        yield SubscriptionPlan(
            namespace=parallel.namespace,
            name=parallel_channel(parallel.name, index),
            channel=parallel_channel(parallel.name, index),
            subscriber=with_namespace(branch.subscriber, parallel.namespace),
            reply=_placed(branch.reply or parallel.spec.reply, parallel.namespace),
            delivery=branch.delivery,
        )


def _filter_subscription(parallel: Parallel, index: int, branch: Branch) -> SubscriptionPlan:
    own_channel = _to_channel(parallel.spec, parallel.namespace, parallel_channel(parallel.name, index))
    return SubscriptionPlan(
        namespace=parallel.namespace,
        name=f"{parallel.name}-kn-parallel-filter-{index}",
        channel=parallel_channel(parallel.name),
        subscriber=own_channel if branch.filter is None else with_namespace(branch.filter, parallel.namespace),
        reply=None if branch.filter is None else own_channel,
        delivery=None,
    )


def _placed(destination: Destination | None, namespace: str) -> Destination | None:
    return None if destination is None else with_namespace(destination, namespace)


def _to_channel(owner: Templated, namespace: str, name: str) -> Destination:
    template = owner.channel_template
    reference = {"apiVersion": template.api_version, "kind": template.kind, "name": name, "namespace": namespace}
    return Destination.model_validate({"ref": reference})
