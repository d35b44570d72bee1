#!/bin/sh
# Makes up passwords and keys, and the Secrets of the namespace darkroom from them, as files for kubectl.
#
#   knative/secrets.sh DIRECTORY            # writes DIRECTORY/*.yaml
#   knative/secrets.sh DIRECTORY --apply    # also puts them into the cluster
#
# What is there already is kept: to rotate a password, remove its file and run this again. The directory is as secret as what
# is in it; keep it in your secret store. TLS=yes writes REDIS_URLs for components/redis-tls, POSTGRES=yes the Secrets of
# components/postgres and POSTGRES_URLs in the place of REDIS_URLs; POSTGRES=move both, as the operator.
set -eu
umask 077
directory=${1:?usage: secrets.sh DIRECTORY [--apply]}
source=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$directory"
cd "$directory"

made() { # file, bytes: random, in hexadecimal
  [ -s "$1" ] || openssl rand -hex "$2" > "$1"
  cat "$1"
}

secret() { # name, arguments of kubectl
  name=$1
  shift
  kubectl create secret generic "$name" --namespace darkroom "$@" --dry-run=client --output yaml > "$name.yaml"
}

redis_url() { # user
  [ "${POSTGRES:-}" != yes ] || return 0 # no Redis then; rates are in PostgreSQL too
  [ "${POSTGRES:-}" != move ] || set -- operator # each function takes jobs out that others made
  if [ "${TLS:-}" = yes ]; then
    echo "rediss://$1:$(made "redis-$1" 24)@redis.darkroom.svc.cluster.local:6379/0?ssl_ca_certs=/etc/darkroom/redis-ca/ca.crt"
  else
    echo "redis://$1:$(made "redis-$1" 24)@redis.darkroom.svc.cluster.local:6379/0"
  fi
}

# Redis knows the digests only.
mkdir -p redis-users
grep -v '^#' "$source/knative/components/redis/users.rules" | while read -r user _; do
  [ -n "$user" ] || continue
  printf %s "$(made "redis-$user" 24)" | sha256sum | cut -c 1-64 > "redis-users/$user"
done
secret darkroom-redis-users --from-file=redis-users
secret darkroom-redis-exporter --from-literal=REDIS_EXPORTER_PASSWORD="$(made redis-exporter 24)"

# A role of PostgreSQL; the operator CloudNativePG takes a new password when the Secret changes.
postgres_role() { # name, user
  secret "darkroom-postgres-$1" --type=kubernetes.io/basic-auth --from-literal=username="$2" \
    --from-literal=password="$(made "postgres-$1" 24)"
  kubectl label --local --filename "darkroom-postgres-$1.yaml" --output yaml cnpg.io/reload=true > labelled
  mv labelled "darkroom-postgres-$1.yaml"
}

postgres_url() { # name, user: the argument for kubectl, or nothing
  [ -n "${POSTGRES:-}" ] || return 0
  [ "$POSTGRES" != move ] || [ "$1" = owner ] || set -- operator darkroom_operator
  printf %s "--from-literal=POSTGRES_URL=postgresql://$2:$(made "postgres-$1" 24)@darkroom-postgres-rw.darkroom.svc.cluster.local:5432/darkroom?sslmode=verify-full&sslrootcert=/etc/darkroom/postgres-ca/ca.crt"
}

if [ -n "${POSTGRES:-}" ]; then
  postgres_role owner darkroom
  for role in ingest status resize crop renditions recovery notify console operator reader; do
    postgres_role "$role" "darkroom_$role"
  done
fi

for function in ingest status resize crop renditions recovery console; do
  # shellcheck disable=SC2046 # one argument or none; it has no spaces
  secret "darkroom-$function" --from-literal=REDIS_URL="$(redis_url "$function")" $(postgres_url "$function" "darkroom_$function") \
    --from-literal=STORAGE_ACCESS_KEY="$(made "storage-$function-access" 10)" \
    --from-literal=STORAGE_SECRET_KEY="$(made "storage-$function-secret" 20)"
done
# shellcheck disable=SC2046
secret darkroom-notify --from-literal=REDIS_URL="$(redis_url notify)" $(postgres_url notify darkroom_notify)
# shellcheck disable=SC2046
secret darkroom-setup $(postgres_url owner darkroom) --from-literal=STORAGE_ACCESS_KEY="$(made storage-setup-access 10)" \
  --from-literal=STORAGE_SECRET_KEY="$(made storage-setup-secret 20)"
secret darkroom-minio --from-literal=MINIO_ROOT_USER="$(made minio-user 10)" \
  --from-literal=MINIO_ROOT_PASSWORD="$(made minio-password 20)" \
  --from-literal=MINIO_KMS_SECRET_KEY="darkroom:$([ -s minio-kms ] || openssl rand -base64 32 > minio-kms; cat minio-kms)"
secret darkroom-seaweedfs --from-literal=WEED_S3_SSE_KEK="$(made storage-encryption 32)"
# No key yet: `darkroom keys create --file DIRECTORY/keys.json` adds one; then run this again.
[ -s keys.json ] || echo '{"keys": []}' > keys.json
secret darkroom-api-keys --from-file=keys.json
# No endpoint yet: `darkroom webhooks create --file DIRECTORY/webhooks.json --secrets-file DIRECTORY/webhook-secrets.json
# --keys-file DIRECTORY/keys.json` adds one; then run this again.
[ -s webhooks.json ] || echo '{"endpoints": []}' > webhooks.json
[ -s webhook-secrets.json ] || echo '{"secrets": {}}' > webhook-secrets.json
# No operator's key yet: `darkroom console-keys create --file DIRECTORY/console-keys.json` adds one; then run this again.
[ -s console-keys.json ] || echo '{"keys": []}' > console-keys.json
secret darkroom-console-keys --from-file=console-keys.json
secret darkroom-webhooks --from-file=webhooks.json
secret darkroom-webhook-secrets --from-file=webhook-secrets.json

[ "${2:-}" != --apply ] || for file in ./*.yaml; do kubectl apply --filename "$file"; done
