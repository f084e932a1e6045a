#!/bin/sh
# Attacks the command for a while: run.sh BUILD_FOLDER SECONDS. Each round has its own seed and
# does three things; the first wrong outcome ends the soak with its folder kept.
#   account  damaged input through a script that edits, drops and splits: every line is
#            accounted for, and what came out is JSON
#   kill     kill -9 in the middle: the files hold whole lines only, the database is sound
#   fault    a disk that fails at a random write: told, counted, whole lines only
# Before that, a thousand reloads under load.
set -eu
build=$(cd "$1" && pwd)
seconds=$2
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
end=$(($(date +%s) + seconds))
round=0
export ASAN_OPTIONS=detect_leaks=0

fail() { echo "soak: round $round: $1 (see $work)" >&2; exit 1; }

account() {
  lua5.4 "$here/damage.lua" "$round" 20000 >"$work/in.ndjson"
  (cd "$work" && "$build/tidewire" run --json router.lua in.ndjson 2>summary.json) ||
    fail "the command ended with status $?"
  lua5.4 "$here/judge.lua" "$work" || fail "the account is wrong"
}

kill_it() {
  (cd "$work" && exec "$build/tidewire" run --quiet router.lua in.ndjson 2>/dev/null) &
  pid=$!
  sleep "0.$((round % 9 + 1))"
  kill -9 "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
  lua5.4 "$here/judge.lua" "$work" whole || fail "a torn line after kill -9"
  [ "$(sqlite3 "$work/out/events.db" 'PRAGMA integrity_check')" = ok ] || fail "the database is broken"
}

fault() {
  status=0
  (cd "$work" && strace -f -qq -o /dev/null -e trace=write,pwrite64 \
    -e inject=write:error=ENOSPC:when=$((round % 40 + 2))+3 \
    "$build/tidewire" run --json router.lua in.ndjson 2>fault.json) || status=$?
  [ "$status" = 0 ] || [ "$status" = 74 ] || fail "a failing disk ended it with status $status"
  lua5.4 "$here/judge.lua" "$work" whole || fail "a torn line on a failing disk"
}

TIDEWIRE_RELOADS=1000 "$build/tests/unit/engine_reload_test" >"$work/reloads.log" 2>&1 ||
  fail "the engine's test failed: see reloads.log"

cp "$here/router.lua" "$work/"
while [ "$(date +%s)" -lt "$end" ]; do
  round=$((round + 1))
  for part in account kill_it fault; do
    rm -rf "$work/out" "$work/rejects.ndjson" "$work/dead.ndjson"
    $part
  done
done
rm -rf "$work"
echo "soak: $round rounds, nothing lost"
