#!/bin/sh
# certificates.sh FOLDER HOST...: an authority, one certificate for the servers on these hosts, one for the program.
# Each lasts ten years. With ca.key, anybody can make more. Needs OpenSSL 3.
set -eu
mkdir -p "$1"
chmod 700 "$1"
cd "$1"
umask 077
shift
[ ! -e ca.key ] || { echo "$PWD/ca.key is there already; remove the folder to begin anew" >&2; exit 1; }

issue() {
    said=$(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 "$@" 2>&1) || {
        echo "$said" >&2
        exit 1
    }
}

issue -subj "/CN=website-health authority" -keyout ca.key -out ca.pem \
    -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign
names=$(printf ',DNS:%s' "$@")
issue -CA ca.pem -CAkey ca.key -subj /CN=server -keyout server.key -out server.cert \
    -addext "subjectAltName=${names#,}" -addext basicConstraints=CA:FALSE
cat server.key server.cert > server.pem
rm server.key server.cert
issue -CA ca.pem -CAkey ca.key -subj /CN=website-health -keyout service.key -out service.cert \
    -addext basicConstraints=CA:FALSE
chmod 644 ca.pem
ls -l
