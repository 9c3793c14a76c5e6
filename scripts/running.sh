# What scripts share that run an office: sourced by them, not run.

script=$(basename "$0" .sh)

# Sets `agencies` to how many files agency-1.csv, agency-2.csv, ... a directory has, at least one.
count_agencies() {
    agencies=0
    while [ -f "$1/agency-$((agencies + 1)).csv" ]; do agencies=$((agencies + 1)); done
    if [ "$agencies" -eq 0 ]; then
        echo "$script: $1 has no agency-1.csv: name a directory with bets, or make one with 'make data'" >&2
        exit 2
    fi
}

# Ends the run, with the last lines of the log that tell why.
fail() {
    echo "$script: $1; see $2" >&2
    tail -n 3 "$2" >&2
    exit 1
}

# The value of a field in the last line of a log that has it.
field() { sed -n "s/.*| $2: \([^ |]*\).*/\1/p" "$1" | tail -n 1; }
