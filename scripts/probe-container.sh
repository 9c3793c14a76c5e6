#!/bin/sh
# Asks the server of the running containers, from inside their network, whether it does its service: a container of the
# client's image, which leaves nothing behind. What it finds goes to stdout: scripts/probe-container.sh lottery|echo
set -eu

service=$1
config=$(dirname "$0")/../server/config.ini
port=$(sed -n 's/^[[:space:]]*SERVER_PORT[[:space:]]*[=:][[:space:]]*\([0-9][0-9]*\).*/\1/p' "$config" | tail -n 1)
# Nothing is pulled. Where no server is there, a name server outside is not asked for long.
exec docker run --rm --pull never --network tp0_testing_net --dns-opt timeout:1 --dns-opt attempts:1 \
    --read-only --cap-drop ALL --security-opt no-new-privileges:true \
    client:latest probe --service "$service" --server "server:${port:-12345}" --timeout 5s
