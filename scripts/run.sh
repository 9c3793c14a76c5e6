#!/bin/sh
# The main job, once: a server on a fresh data directory, an agency for each file, one draw, a table.
#   scripts/run.sh BIN_DIR DATA_DIR [SERVER OPTION ...]
# DATA_DIR holds agency-1.csv, agency-2.csv, ... What happened stays in DATA_DIR/run.
set -eu
. "$(dirname "$0")/running.sh"

bin=$1
data=$2
shift 2

count_agencies "$data"

run=$data/run
rm -rf "$run"
mkdir -p "$run"
"$bin/bolillero-server" serve --listen 127.0.0.1:0 --data-dir "$run/central" \
    --agencies "$agencies" "$@" >"$run/server.log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT INT TERM

# The server logs its address when it is ready, unless it was told to log less.
address=
tries=0
while [ -z "$address" ]; do
    kill -0 "$server" 2>/dev/null || fail "the server did not start" "$run/server.log"
    [ "$tries" -lt 400 ] || fail "the server has not logged its address in 20 s" "$run/server.log"
    tries=$((tries + 1))
    sleep 0.05
    address=$(sed -n 's/.*action: listen .*| service: lottery | address: \([^ ]*\).*/\1/p' "$run/server.log")
done

echo "server at $address, $agencies agencies, bets from $data"
begin=$(date +%s%N)
clients=
i=1
while [ "$i" -le "$agencies" ]; do
    "$bin/bolillero" agency --id "$i" --bets "$data/agency-$i.csv" --server "$address" \
        >"$run/agency-$i.log" 2>&1 &
    clients="$clients $!"
    i=$((i + 1))
done
i=1
for client in $clients; do
    wait "$client" || fail "agency $i ended with $?" "$run/agency-$i.log"
    i=$((i + 1))
done
end=$(date +%s%N)

kill -TERM "$server"
trap - EXIT INT TERM
wait "$server" || fail "the server ended with $?" "$run/server.log"

total_bets=0
total_winners=0
printf '\n%-10s %10s %10s\n' agency bets winners
i=1
while [ "$i" -le "$agencies" ]; do
    bets=$(field "$run/agency-$i.log" cantidad)
    winners=$(field "$run/agency-$i.log" cant_ganadores)
    printf '%-10s %10s %10s\n' "$i" "$bets" "$winners"
    total_bets=$((total_bets + bets))
    total_winners=$((total_winners + winners))
    i=$((i + 1))
done
printf '%-10s %10s %10s\n\n' total "$total_bets" "$total_winners"
awk -v bets="$total_bets" -v nanoseconds=$((end - begin)) 'BEGIN {
    seconds = nanoseconds / 1e9
    printf "%.3f s from the first connection to the last winners, %.0f bets/s, every bet synced to disk\n",
        seconds, bets / seconds
}'
echo "logs, ledger and published results: $run"
