#!/bin/sh
# Rebuilds the job store from storage, after it was lost: runs restore.yaml with recovery's image, and shows the report. It
# may run again: what is there is skipped.
set -eu
here=$(dirname "$0")
image=$(kubectl get services.serving.knative.dev recovery --namespace darkroom \
  --output 'jsonpath={.spec.template.spec.containers[0].image}')
kubectl delete job restore --namespace darkroom --ignore-not-found
kubectl set image --local --filename "$here/restore.yaml" restore="$image" --output yaml | kubectl apply --filename -
kubectl wait --for=condition=Complete job/restore --namespace darkroom --timeout="${TIMEOUT:-2h}"
kubectl logs job/restore --namespace darkroom
