#!/bin/sh
# Makes the certificates of the NATS cluster with openssl: two CAs (clients and servers; routes), one server certificate
# for each of them, one certificate for each user of accounts.conf. For who has no cert-manager, and for the tests.
#
#   nats-eventing/cluster/certificates.sh DIRECTORY
#   nats-eventing/cluster/certificates.sh DIRECTORY --apply    # also puts them into the cluster, as Secrets
#
# What is there already is kept: to renew one, remove its .crt and run this again. Keep both ca.key files offline.
set -eu

directory=${1:?usage: certificates.sh DIRECTORY [--apply]}
days=${CERTIFICATE_DAYS:-365}
mkdir -p "$directory"
cd "$directory"
umask 077

headless=nats-headless.nats-io.svc.cluster.local
server_names="DNS:nats,DNS:nats.nats-io,DNS:nats.nats-io.svc,DNS:nats.nats-io.svc.cluster.local,DNS:*.$headless,DNS:localhost,IP:127.0.0.1"

make_ca() { # name
  [ -f "$1.crt" ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
    -keyout "$1.key" -out "$1.crt" -subj "/O=Darkroom/CN=$1" 2>/dev/null
}

make_certificate() { # name, CA, subject alternative names, extended key usage
  [ -f "$1.crt" ] && return
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" \
    -subj "/O=Darkroom/CN=$1" 2>/dev/null
  printf 'subjectAltName=%s\nextendedKeyUsage=%s\nbasicConstraints=CA:FALSE\n' "$3" "$4" > "$1.ext"
  openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -days "$days" -extfile "$1.ext" \
    -out "$1.crt" 2>/dev/null
  rm "$1.csr" "$1.ext"
}

make_ca ca
make_ca routes-ca
make_certificate server ca "$server_names" serverAuth
# A route's two ends are both servers and both clients.
make_certificate routes routes-ca "$server_names" serverAuth,clientAuth
for user in eventing recovery setup operator console system; do
  make_certificate "$user" ca "DNS:$user.nats.darkroom" clientAuth
done

[ "${2:-}" = --apply ] || exit 0

apply() { # namespace, name, CA, certificate
  kubectl create secret generic "$2" --namespace "$1" --type kubernetes.io/tls --dry-run=client --output yaml \
    --from-file=ca.crt="$3.crt" --from-file=tls.crt="$4.crt" --from-file=tls.key="$4.key" | kubectl apply -f -
}

apply nats-io nats-server-tls ca server
apply nats-io nats-routes-tls routes-ca routes
apply knative-eventing nats-eventing-tls ca eventing
apply darkroom darkroom-recovery-nats ca recovery
apply darkroom darkroom-setup-nats ca setup
apply darkroom darkroom-console-nats ca console
