#!/bin/sh
# Starts the deployment of a compose file: scripts/compose-up.sh FILE [fresh]
# Containers of the same deployment go on with their ledger. Containers of another one are removed first, as they are with
# `fresh`: another number of agencies, or another mode, is another draw. Exit code 1: a container failed, as shown.
set -eu

file=$1
# How long the server may take until it is healthy. Its image checks every 5 s.
healthy_seconds_max=60

compose() { docker compose -f "$file" "$@"; }

# Whether the containers that are there were made from this file: compose labels each with the hash of its service.
is_same_deployment() {
    wanted=$(compose config --hash '*')
    made=$(docker ps -a --filter "label=com.docker.compose.project=$project" \
        --format '{{.Label "com.docker.compose.service"}} {{.Label "com.docker.compose.config-hash"}}')
    echo "$made" | while read -r container; do
        [ -z "$container" ] || echo "$wanted" | grep -qxF "$container" || exit 1
    done
}

# Stops and removes the containers. Only a ledger in a volume with a name stays.
remove() {
    compose stop -t 1
    compose rm --force --volumes
    compose down --remove-orphans
}

# Shows the end of the log of each container that ended with an error. Fails if there is one.
check_containers() {
    failed=$(docker ps -a --filter "label=com.docker.compose.project=$project" --filter status=exited \
        --format '{{.Names}} {{.Status}}' | sed -n '/(0)/!p')
    [ -n "$failed" ] || return 0
    echo "$failed" | while read -r name state; do
        echo "docker-compose-up: $name: $state. The end of its log:" >&2
        docker logs --tail 3 "$name" 2>&1 | sed 's/^/    /' >&2
    done
    return 1
}

project=$(sed -n 's/^name: //p' "$file")
if [ "${2:-}" = fresh ]; then
    remove
elif is_same_deployment; then
    # Compose does not see that a mounted file has changed: what runs is started anew.
    compose stop
else
    echo 'docker-compose-up: the containers are of another deployment: they are removed, and so is a ledger without a named volume'
    remove
fi
compose up -d
if ! compose up -d --no-recreate --wait --wait-timeout "$healthy_seconds_max" server; then
    check_containers || true
    # The clients would wait for it.
    compose stop -t 1
    echo 'docker-compose-up: the server is not healthy. A ledger of another draw in a named volume (BOLILLERO_VOLUME) stays:' >&2
    echo 'generate the compose file with another volume, or remove this one' >&2
    exit 1
fi
check_containers
