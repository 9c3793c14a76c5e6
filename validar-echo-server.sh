#!/bin/sh
# Checks the echo server of the running containers: one line on stdout says how it went, reasons go to stderr.
# Needs docker, and nothing else on this machine. Exit codes: 0 success, 1 fail.
set -eu

if sh "$(dirname "$0")/scripts/probe-container.sh" echo >&2; then
    echo 'action: test_echo_server | result: success'
else
    echo 'action: test_echo_server | result: fail'
    exit 1
fi
