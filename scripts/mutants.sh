#!/usr/bin/env bash
# Shows that the simulation finds what it is there for: each patch of server/tests/mutants is a fault in the
# product, applied to a copy of the sources and looked for in SEEDS seeds. Ends with a table; fails if one
# is missed or does not apply. Names as arguments: only those.
set -euo pipefail
cd "$(dirname "$0")/.."

seeds=${SEEDS:-200}
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
# Always the same place, so that only what a patch changes is built again.
copy=$target/mutants/sources
export CARGO_TARGET_DIR=$target/mutants/target

rm -rf "$copy"
mkdir -p "$copy"
git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from - --ignore-failed-read 2>/dev/null |
    tar --extract --touch --directory "$copy"

simulate() {
    (cd "$copy" && SEED='' SEEDS=$seeds timeout 900 cargo test --locked --quiet -p bolillero-server \
        --test simulation -- whatever) 2>&1
}

# The copy is no repository, and not part of the one that it may lie in.
apply() {
    GIT_CEILING_DIRECTORIES=$target/mutants git -C "$copy" apply "$@" 2>/dev/null
}

# Says what came of one patch: found or MISSED, where, and how it showed.
try() {
    local patch=$1 output
    apply <"$patch" || { echo 'MISSED | - | the patch does not apply'; return; }
    if output=$(simulate); then
        echo "MISSED | - | $seeds seeds pass"
    elif ! grep -q '^seed [0-9]' <<<"$output"; then
        echo "MISSED | - | $(grep -m 1 '^error' <<<"$output" || echo 'it ended without a seed')"
    else
        sed -n 's/^seed \([0-9]*\) fails: \(.*\)/found | \1 | \2/p' <<<"$output" | head -n 1 | cut -c 1-110 | sed 's/: \[$//'
    fi
    apply --reverse <"$patch"
}

echo 'mutants: the sources as they are'
simulate >"$target/mutants/unchanged.log" || { cat "$target/mutants/unchanged.log"; exit 1; }
names=("$@")
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(cd server/tests/mutants && printf '%s\n' *.patch | sed 's/[.]patch$//')
table='| mutant | | seed | how it shows |
|---|---|---|---|'
for name in "${names[@]}"; do
    line="| $name | $(try "server/tests/mutants/$name.patch") |"
    echo "$line"
    table+=$'\n'$line
done
echo
echo "$table"
! grep -q MISSED <<<"$table"
