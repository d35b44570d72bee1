#!/bin/sh
# Writes the users and policies that SeaweedFS reads at its start, and starts it.
#   start.sh POLICIES KEYS OUTPUT COMMAND...
# POLICIES has a file for each policy. KEYS has a folder for each user with the files STORAGE_ACCESS_KEY and
# STORAGE_SECRET_KEY, which are those of the functions' Secrets. A rotated key takes effect when the pod is restarted.
set -eu
policies=$1 keys=$2 output=$3
shift 3
umask 077

# A policy travels as a string within JSON.
quoted() { tr -d '\n' < "$1" | sed 's/\\/\\\\/g; s/"/\\"/g'; }

# Whatever needs no escaping in JSON, which is all that keys are made of.
key() {
  value=$(cat "$keys/$1/$2")
  case "$value" in
    '' | *[!A-Za-z0-9_/+=.-]*) echo "$2 of $1 must be letters, digits and _/+=.- and not empty" >&2; exit 1 ;;
  esac
  printf %s "$value"
}

user() { # name, policy
  access_key=$(key "$1" STORAGE_ACCESS_KEY)
  secret_key=$(key "$1" STORAGE_SECRET_KEY)
  printf '%s{"name": "%s", "credentials": [{"accessKey": "%s", "secretKey": "%s"}], "policyNames": ["%s"]}' \
    "$comma" "$1" "$access_key" "$secret_key" "$2"
  comma=,
}

{
  comma=
  printf '{"identities": ['
  user ingest ingest
  user status status
  user resize renderer
  user crop renderer
  user renditions renderer
  user recovery eraser
  user setup setup
  user console console
  printf '], "policies": ['
  comma=
  for policy in ingest status renderer eraser setup console; do
    printf '%s{"name": "%s", "content": "%s"}' "$comma" "$policy" "$(quoted "$policies/$policy.json")"
    comma=,
  done
  printf ']}\n'
} > "$output"
exec "$@"
