#!/bin/sh
# The second oracle: cursors.sh BUILD_FOLDER LINES [SEED]. A program writes a log that grows and
# rotates; `tidewire run --follow --spool` reads it, and is killed again and again. At the end
# each line is in the database once, in the file at least once, and was counted once.
set -eu
build=$(cd "$1" && pwd)
lines=$2
seed=${3:-$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
cp "$here/logs.lua" "$work/"
cd "$work"
# A file that is rotated before any run has noted how far it was read is not known to the next.
lua5.4 "$here/writer.lua" 1 10
"$build/tidewire" run --quiet --spool sp logs.lua app.log
echo "cursors: $lines lines, seed $seed"

fail() { echo "cursors: $1 (see $work)" >&2; exit 1; }

lua5.4 "$here/writer.lua" 11 "$lines" "$seed" &
writer=$!
kills=0
while kill -0 $writer 2>/dev/null; do
  "$build/tidewire" run --quiet --follow --spool sp logs.lua app.log 2>>run.log &
  pid=$!
  sleep "0.$(((seed + kills * 7919) % 60 + 5))"
  kill -9 $pid 2>/dev/null || fail "it ended by itself"
  wait $pid 2>/dev/null || true
  kills=$((kills + 1))
done
wait $writer || fail "the writer failed"

# What is left is read to the end, and what waits delivered.
for _ in 1 2 3; do
  "$build/tidewire" run --quiet --spool sp logs.lua app.log 2>>run.log || fail "the last run: $?"
done

sql() { sqlite3 all.db "$1"; }
is() { [ "$2" = "$3" ] || fail "$1: $2, not $3"; }
is "lines in the database" "$(sql 'SELECT count(*) FROM events')" "$lines"
is "numbers" "$(sql "SELECT count(DISTINCT event ->> 'n') FROM events")" "$lines"
is "counted twice, or not at all" \
  "$(sql "SELECT count(DISTINCT event ->> 'c') || ' ' || max(event ->> 'c') FROM events")" \
  "$lines $lines"
is "lines in the file" \
  "$(grep -o '^{"id":"e[0-9]*","n":[0-9]*' all.ndjson | sort -u | wc -l)" "$lines"
echo "cursors: $kills kills, $(wc -l <all.ndjson) lines delivered to the file, nothing lost or counted twice"
cd /
rm -rf "$work"
