#!/bin/sh
# The main job, once: a server on a fresh data directory, an agency for each file, one draw, a table.
#   scripts/run.sh BIN_DIR DATA_DIR [SERVER OPTION ...]
# DATA_DIR holds agency-1.csv, agency-2.csv, ... Logs, ledger and results stay in DATA_DIR/run.
set -eu
. "$(dirname "$0")/running.sh"

bin=$1
data=$2
shift 2

count_agencies "$data"

run=$data/run
rm -rf "$run"
mkdir -p "$run"
open_watch "$run"
watch server "$run/server.log" "$bin/bolillero-server" serve --listen 127.0.0.1:0 --data-dir "$run/central" \
    --agencies "$agencies" "$@"
server=$watcher
# With --log-level warning there is no such line: the run then ends after the wait.
await_line 'action: listen .*| service: lottery |' "$run/server.log" "$server" 'the server did not start'
address=$(sed -n 's/.*action: listen .*| service: lottery | address: \([^ ]*\).*/\1/p' "$run/server.log")

echo "server at $address, $agencies agencies, bets from $data"
begin=$(date +%s%N)
i=1
while [ "$i" -le "$agencies" ]; do
    watch "$i" "$run/agency-$i.log" "$bin/bolillero" agency --id "$i" --bets "$data/agency-$i.csv" --server "$address"
    i=$((i + 1))
done
await_agencies "$run"
end=$(date +%s%N)
stop_server "$server" "$run/server.log"

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
