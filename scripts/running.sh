# Functions of the scripts that run an office. Those scripts source this file; it does nothing by itself.

script=$(basename "$0" .sh)
# The processes that this script started and that may still run.
children=

# Sets `agencies` to the number of files agency-1.csv, agency-2.csv, ... in a directory. One is the least.
count_agencies() {
    agencies=0
    while [ -f "$1/agency-$((agencies + 1)).csv" ]; do agencies=$((agencies + 1)); done
    if [ "$agencies" -eq 0 ]; then
        echo "$script: $1 has no agency-1.csv: name a directory with bets, or make one with 'make data'" >&2
        exit 2
    fi
}

# Starts in the background: watch NAME LOG COMMAND [ARGUMENT ...]. The output goes to LOG. `await_end` returns the names
# of watched processes in the order in which they end.
watch() {
    watched=$1
    log=$2
    shift 2
    : >"$log"
    # File descriptor 3 is the pipe between the watchers and `await_end`. Both ends are open in this script, so that
    # neither side waits for the other to open it.
    (
        "$@" >"$log" 2>&1 3>&- &
        process=$!
        stopped=
        trap 'stopped=yes; kill "$process" 2>/dev/null' TERM
        status=0
        wait "$process" || status=$?
        # The signal ended that `wait`, not the process.
        [ -z "$stopped" ] || { status=0 && wait "$process" || status=$?; }
        echo "$watched $status" >&3
    ) &
    watcher=$!
    children="$children $watcher"
}

# Opens the pipe between the watchers and `await_end`, in a directory.
open_watch() {
    mkfifo "$1/ended"
    exec 3<>"$1/ended"
    rm "$1/ended"
    trap 'kill $children 2>/dev/null || true' EXIT
    trap 'exit 1' HUP INT TERM
}

# Waits until any watched process ends. Sets `ended` to its name and `status` to its exit code.
await_end() { read -r ended status <&3; }

# Waits until the agencies 1 to `agencies` have ended. The first failure, of an agency or of the server, ends the run:
# the others would wait for the draw that it prevents. Their logs are DIRECTORY/agency-N.log and DIRECTORY/server.log.
await_agencies() {
    left=$agencies
    while [ "$left" -gt 0 ]; do
        await_end
        [ "$ended" != server ] || fail "the server ended with exit code $status" "$1/server.log"
        [ "$status" -eq 0 ] || fail "agency $ended ended with exit code $status" "$1/agency-$ended.log"
        left=$((left - 1))
    done
}

# Stops the server, whose watcher is process $1 and whose log is $2, and waits for its end.
stop_server() {
    kill -TERM "$1"
    await_end
    [ "$status" -eq 0 ] || fail "the server ended with exit code $status" "$2"
}

# Ends the run, and shows the end of the log that has the cause.
fail() {
    echo "$script: $1. The end of $2:" >&2
    tail -n 20 "$2" | sed 's/^/    /' >&2
    exit 1
}

# The value of a field in the last line of a log that has it.
field() { sed -n "s/.*| $2: \([^ |]*\).*/\1/p" "$1" | tail -n 1; }

# Waits until the file $2 has a line that matches $1. The process $3 writes it; its end is the failure that $4 names.
await_line() {
    tries=0
    until grep -q -- "$1" "$2"; do
        kill -0 "$3" 2>/dev/null || fail "$4" "$2"
        [ "$tries" -lt 400 ] || fail "no '$1' within 20 s" "$2"
        tries=$((tries + 1))
        sleep 0.05
    done
}
