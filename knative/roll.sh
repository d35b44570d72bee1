#!/bin/sh
# Gives Knative Services a new revision with the settings and Secrets of now: a change of a ConfigMap or a Secret that is
# read as environment reaches no pod that runs. The old revision goes on until the new one is ready, so nothing is refused.
#
#   knative/roll.sh                    # every Service of the namespace darkroom
#   knative/roll.sh ingest status      # these
set -eu
[ $# -gt 0 ] || set -- $(kubectl get services.serving.knative.dev --namespace darkroom --output name | sed 's|.*/||')
now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
for service; do
  kubectl patch services.serving.knative.dev "$service" --namespace darkroom --type merge --patch \
    "{\"spec\": {\"template\": {\"metadata\": {\"annotations\": {\"darkroom.dev/rolled-at\": \"$now\"}}}}}"
done
for service; do
  kubectl wait --for=condition=Ready "services.serving.knative.dev/$service" --namespace darkroom --timeout=10m
done
