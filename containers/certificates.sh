#!/bin/bash
# Certificates for the servers of secure.yaml: certificates.sh NAME:UID ...
#
# /tls/authority keeps the authority's key; /tls/ca its certificate, which clients trust.
# /tls/NAME gets server.crt (with the authority's), server.key (readable by the user UID
# alone) and ca.crt. What is there and valid for another month is kept, so this runs at
# every start; a server reads its certificate when it starts.
set -euo pipefail
umask 022

authority=/tls/authority
month=2592000
new_key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -batch)

holds() { [[ -s $1 ]] && openssl x509 -checkend "$month" -noout -in "$1" >/dev/null; }

if ! holds "$authority/ca.crt"; then
    openssl req -x509 "${new_key[@]}" -days 3650 -subj "/CN=Movies ETL authority" \
        -addext "keyUsage=critical,keyCertSign,cRLSign" \
        -keyout "$authority/ca.key" -out "$authority/ca.crt"
    rm -f /tls/*/server.crt
fi
cp "$authority/ca.crt" /tls/ca/ca.crt

for server; do
    name=${server%:*} owner=${server#*:}
    folder=/tls/$name
    holds "$folder/server.crt" && continue
    openssl req -x509 "${new_key[@]}" -days 825 -subj "/CN=$name" \
        -CA "$authority/ca.crt" -CAkey "$authority/ca.key" \
        -addext "basicConstraints=critical,CA:FALSE" -addext "extendedKeyUsage=serverAuth" \
        -addext "subjectAltName=DNS:$name,DNS:localhost,IP:127.0.0.1" \
        -keyout "$folder/server.key.new" -out "$folder/leaf.crt"
    chmod 400 "$folder/server.key.new"
    chown "$owner" "$folder/server.key.new"
    mv "$folder/server.key.new" "$folder/server.key"
    cp "$authority/ca.crt" "$folder/ca.crt"
    cat "$folder/leaf.crt" "$authority/ca.crt" >"$folder/server.crt"
    rm "$folder/leaf.crt"
done
