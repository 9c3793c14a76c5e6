#!/bin/sh
# Says what is missing where docker or its compose plugin does not answer, and fails: scripts/need-docker.sh [compose]
set -eu

missing() {
    echo "docker: $1" >&2
    exit 1
}

command -v docker >/dev/null 2>&1 ||
    missing 'there is no command docker: install Docker Engine, https://docs.docker.com/engine/install/'
docker info >/dev/null 2>&1 ||
    missing "no engine answers: start it ('systemctl start docker' or Docker Desktop), or see what 'docker info' says"
[ "${1:-}" != compose ] || docker compose version >/dev/null 2>&1 ||
    missing 'there is no compose plugin: install Docker Compose v2, https://docs.docker.com/compose/install/'
