#!/bin/sh
# Puts the users together from users.rules and the digests in the Secret, and starts the server.
#   start.sh RULES DIGESTS OUTPUT COMMAND...
# DIGESTS has a file for each user, with the SHA-256 of its password in hexadecimal: printf %s PASSWORD | sha256sum.
set -eu
rules=$1 digests=$2 output=$3
shift 3
umask 077
{
  echo "user default off"
  # For the probes: it may ask whether the server answers, and nothing else.
  echo "user probe on nopass +ping"
  while read -r name rest; do
    case "$name" in '' | '#'*) continue ;; esac
    [ -f "$digests/$name" ] || { echo "there is no digest of the user $name in $digests" >&2; exit 1; }
    echo "user $name on #$(cut -c 1-64 "$digests/$name") $rest"
  done < "$rules"
} > "$output"
exec "$@"
