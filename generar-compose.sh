#!/bin/sh
# Writes the compose file of a server and N clients: ./generar-compose.sh FILE N
# The same arguments and environment give the same bytes. Exit codes: 0 written, 2 nothing was written, as told.
set -eu

agencies_max=1000
# 251 clients, the server and the bridge still fit a /24; the addresses of more do not.
agencies_of_small_subnet_max=250
# A client may start long before the name of the server resolves; by default it waits 10 s for that.
connect_timeout=2m

usage() {
    cat >&2 <<END
usage: $0 FILE N
  FILE   where to write, for example docker-compose-dev.yaml
  N      how many clients, 0 to $agencies_max
environment:
  TP0_MODE=lottery        clients are agencies that send .data/agency-1.csv, ... and wait for the draw (default)
  TP0_MODE=echo           an echo server, and clients that check it
  TP0_MODE=single         each client sends one bet
  BOLILLERO_VOLUME=NAME   keep the ledger in this volume, which outlives 'down' (default: a fresh one)
END
    exit 2
}

refuse() {
    echo "generar-compose: $1" >&2
    exit 2
}

# A line for each argument. By printf, as a thousand clients would start thousands of 'cat'.
lines() {
    printf '%s\n' "$@"
}

write_compose() {
    lines 'name: tp0' 'services:'
    write_server
    client=1
    while [ "$client" -le "$agencies" ]; do
        write_client
        client=$((client + 1))
    done
    write_network
    if [ "$mode" != echo ] && [ -n "$volume" ]; then
        lines 'volumes:' '  ledger:' "    name: $volume"
    fi
}

# Three segments are kept allocated: small ones, as each 'down' leaves an unnamed volume behind.
# The drain is over before 'stop -t 1' kills.
write_server() {
    lines '  server:' '    container_name: server' '    image: server:latest'
    if [ "$mode" = echo ]; then
        lines '    command: [echo, --listen, 0.0.0.0, --drain-timeout, 800ms]'
    else
        lines "    command: [serve, --listen, 0.0.0.0, --data-dir, /data, --agencies, '$agencies'," \
            '              --drain-timeout, 800ms, --announce-delay, 300ms, --segment-size, 1MiB]'
    fi
    write_confinement
    lines '    volumes:'
    write_mount ./server/config.ini
    if [ "$mode" != echo ]; then
        lines '      - type: volume' '        target: /data'
        [ -z "$volume" ] || lines '        source: ledger'
    fi
}

write_client() {
    case $mode in
        lottery) command=agency ;;
        echo) command=echo ;;
        single) command=bet ;;
    esac
    lines "  client$client:" "    container_name: client$client" '    image: client:latest' \
        "    command: [$command]" '    depends_on: [server]' '    environment:' "      - CLI_ID=$client" \
        "      - CLI_CONNECT_TIMEOUT=$connect_timeout"
    [ "$mode" != single ] || write_bet
    write_confinement
    lines '    volumes:'
    write_mount ./client/config.yaml
    [ "$mode" != lottery ] || write_mount "./.data/agency-$client.csv"
}

# What a container may do, and may not.
write_confinement() {
    lines '    networks: [testing_net]' '    stop_grace_period: 3s' '    read_only: true' \
        '    cap_drop: [ALL]' "    security_opt: ['no-new-privileges:true']"
}

# A file that is missing is an error: docker would make an empty directory of its name.
write_mount() {
    lines '      - type: bind' "        source: $1" "        target: ${1#.}" '        read_only: true' \
        '        bind:' '          create_host_path: false'
}

# A bet for each client, always the same.
write_bet() {
    i=$((client - 1))
    if [ "$i" -eq 0 ]; then
        name='Santiago Lionel' surname=Lorca
    else
        pick_name
    fi
    lines "      - NOMBRE=$name" "      - APELLIDO=$surname" "      - DOCUMENTO=$((30904465 + i * 7919))"
    printf '      - NACIMIENTO=%d-%02d-%02d\n' \
        $((1999 - i % 50)) $((1 + (i + 2) % 12)) $((1 + (i + 16) % 28))
    lines "      - NUMERO=$(((7574 + i * 1237) % 10000))"
}

pick_name() {
    set -- Ana Bruno Carla Diego Elena Facundo Gloria
    shift $((i % 7))
    name=$1
    set -- Acosta Benítez Coria Díaz Escobar Ferreyra Gómez Herrera Ibarra Juárez Luna
    shift $((i % 11))
    surname=$1
}

write_network() {
    subnet=172.25.125.0/24
    [ "$agencies" -le "$agencies_of_small_subnet_max" ] || subnet=172.25.124.0/22
    lines 'networks:' '  testing_net:' '    ipam:' '      driver: default' '      config:' \
        "        - subnet: $subnet"
}

[ $# -eq 2 ] || usage
file=$1 agencies=$2 mode=${TP0_MODE:-lottery} volume=${BOLILLERO_VOLUME:-}
case $file in
    '') usage ;;
    /*) ;;
    # So that no name is taken for an option.
    *) file=./$file ;;
esac
case $agencies in
    '' | *[!0-9]* | 0?* | ?????*) usage ;;
esac
[ "$agencies" -le "$agencies_max" ] || usage
case $mode in
    lottery | echo | single) ;;
    *) refuse "TP0_MODE=$mode: not lottery, echo or single" ;;
esac
case $volume in
    '') ;;
    [!a-zA-Z0-9]* | *[!a-zA-Z0-9_.-]* | ?) refuse \
        "BOLILLERO_VOLUME=$volume: not two or more of a-z A-Z 0-9 _ . -, the first a letter or digit" ;;
esac
if [ -e "$file" ]; then
    [ -f "$file" ] || refuse "$1: not a file: name one to write or to replace"
    [ -w "$file" ] || refuse "$1: may not be written: change its permissions or name another file"
fi

# Whole or not at all: nobody reads half a file, and what was there stays if this fails.
new=$file.new.$$
finish() {
    status=$?
    rm -f "$new"
    [ "$status" -eq 0 ] ||
        refuse "$shown: cannot be written: see that its directory exists, may be written and has room"
}
shown=$1
trap finish EXIT
trap 'exit 1' HUP INT TERM
# Nobody's file is written over, whatever it is called.
set -C
write_compose >"$new"
mv -f "$new" "$file"
