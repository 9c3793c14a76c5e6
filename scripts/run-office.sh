#!/bin/sh
# A whole office, once: a fresh authority, every service over TLS, agencies with certificates, one draw, the published winners
# fetched, two guests who exchange a line.
#   scripts/run-office.sh BIN_DIR DATA_DIR [SERVER OPTION ...]
# DATA_DIR holds agency-1.csv, agency-2.csv, ... What happened stays in DATA_DIR/office.
set -eu
. "$(dirname "$0")/running.sh"

bin=$1
data=$2
shift 2

count_agencies "$data"

run=$data/office
pki=$run/pki
rm -rf "$run"
mkdir -p "$run"
open_watch "$run"

echo "1. an authority, and certificates of the server and of $agencies agencies"
{
    "$bin/bolillero" pki init --dir "$pki"
    "$bin/bolillero" pki server --dir "$pki"
    # shellcheck disable=SC2046 # One option for each.
    "$bin/bolillero" pki agency --dir "$pki" $(seq -f '--id %.0f' "$agencies")
} >"$run/pki.log" 2>&1 || fail 'making certificates failed' "$run/pki.log"

# What follows, in place of this shell, as one that trusts the authority; as one that shows the certificate of agency $1.
trusting() { exec "$bin/bolillero" "$@" --tls --ca "$pki/ca.pem"; }
as_agency() {
    agency=$1
    shift
    trusting "$@" --cert "$pki/agency-$agency.pem" --key "$pki/agency-$agency-key.pem"
}

echo "2. the server, all of it over TLS"
watch server "$run/server.log" "$bin/bolillero-server" serve --data-dir "$run/central" --agencies "$agencies" \
    --listen 127.0.0.1:0 --listen-text 127.0.0.1:0 --files 127.0.0.1:0 --room 127.0.0.1:0 \
    --tls-cert "$pki/server.pem" --tls-key "$pki/server-key.pem" --tls-client-ca "$pki/ca.pem" --tls-anyone files,room \
    "$@"
server=$watcher
# The room is the last that is logged.
await_line '| service: room |' "$run/server.log" "$server" 'the server did not start'
sed -n 's/.*action: listen .*| service: \([^ ]*\) | address: \([^ ]*\) | tls: \(.*\)/   \1: \2, for \3/p' "$run/server.log"
address_of() { sed -n "s/.*action: listen .*| service: $1 | address: \([^ ]*\).*/\1/p" "$run/server.log"; }
lottery=$(address_of lottery)
files=$(address_of files)
room=$(address_of room)

echo "3. the agencies, each with its certificate; the last speaks the text dialect"
i=1
while [ "$i" -le "$agencies" ]; do
    set -- --id "$i" --bets "$data/agency-$i.csv"
    if [ "$i" -lt "$agencies" ]; then
        set -- "$@" --server "$lottery"
    else
        set -- "$@" --server "$(address_of lottery-text)" --text
    fi
    watch "$i" "$run/agency-$i.log" as_agency "$i" agency "$@"
    i=$((i + 1))
done
await_agencies "$run"
i=1
while [ "$i" -le "$agencies" ]; do
    echo "   agency $i: $(field "$run/agency-$i.log" cantidad) bets, $(field "$run/agency-$i.log" cant_ganadores) winners"
    i=$((i + 1))
done

echo "4. a bet for agency 2 that comes with agency 1's certificate"
if (as_agency 1 bet --id 2 --server "$lottery" --first-name Ana --last-name Paz --document 30904465 \
    --birth-date 1999-03-17 --number 7574) >"$run/bet.log" 2>&1; then
    fail 'it was taken' "$run/server.log"
fi
sed -n 's/.*error: \(the office refused\)/   \1/p' "$run/bet.log"

echo "5. the published winners, fetched by somebody without a certificate"
(trusting files get "$files" --all --output "$run/published") >"$run/files.log" 2>&1 ||
    fail 'fetching the results failed' "$run/files.log"
for file in "$run"/published/winners-*.csv; do
    echo "   ${file##*/}: $(wc -l <"$file") lines"
done

echo "6. two operators in the room"
guest() { trusting room "$room" --name "$1" --until "$2" >"$run/room-$1.log" 2>&1; }
: >"$run/room-leo.log"
{
    await_line '^ana: ' "$run/room-leo.log" "$server" 'the server ended'
    echo 'thank you, ana'
} | guest leo 'ana left' &
leo=$!
children="$children $leo"
await_line '^\* you are leo' "$run/room-leo.log" "$leo" 'leo ended'
echo 'the draw is done, the results are published' | guest ana 'leo: ' || fail 'ana ended with an error' "$run/room-ana.log"
wait "$leo" || fail 'leo ended with an error' "$run/room-leo.log"
for guest in ana leo; do
    sed "s/^/   $guest sees  /" "$run/room-$guest.log"
done

stop_server "$server" "$run/server.log"
echo
echo "certificates, logs, ledger and results: $run"
