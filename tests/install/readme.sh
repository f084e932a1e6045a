#!/bin/sh
# readme.sh PREFIX: runs the README's examples against the package installed in PREFIX, so
# that they stay true. Works in the current folder.
set -eu
prefix=$1
readme=$(cd "$(dirname "$0")/../.." && pwd)/README.md

# The N-th block of a language: block LANGUAGE N
block() {
  awk -v start="\`\`\`$1" -v n="$2" '
    $0 == start { inside = ++count == n; next }
    /^```/ { inside = 0 }
    inside' "$readme"
}

# expect TEXT FILE
expect() { grep -qF "$1" "$2" || { echo "readme: no $1 in $2:"; cat "$2"; exit 1; }; }

mkdir -p out

echo "readme: the first script"
block lua 1 >shop.lua
cat >events.ndjson <<'NDJSON'
{"name":"order.paid","timestamp":"2024-05-01T08:00:00.000000Z","data":{"total":12.5},"context":{"user":{"email":"ann@example.com"}}}
{"name":"page.viewed","timestamp":"2024-05-01T08:00:01.000000Z","data":{},"context":{}}
{"name":"debug.noise","timestamp":"2024-05-01T08:00:02.000000Z","data":{},"context":{}}
NDJSON
"$prefix/bin/tidewire" check shop.lua
"$prefix/bin/tidewire" run --json shop.lua events.ndjson 2>summary.json
expect '"read":3,' summary.json
expect '"dropped":1,' summary.json
cat out/*.ndjson >archive
[ "$(wc -l <archive)" = 2 ]
expect '"host":"h1"' archive
if grep ann@example.com archive; then exit 1; fi
[ "$(sqlite3 out/orders.db "SELECT name, data ->> '\$.total' FROM events")" = "order.paid|12.5" ]
rm -rf out && mkdir out

echo "readme: nothing is lost"
grep -qF 'mv app.log app.log.1; echo' "$readme"
cp events.ndjson app.log
"$prefix/bin/tidewire" run --quiet --spool sp shop.lua app.log
echo '{"name":"order.paid","context":{}}' >>app.log
mv app.log app.log.1
echo '{"name":"order.paid","context":{}}' >app.log
"$prefix/bin/tidewire" run --json --spool sp shop.lua app.log 2>summary.json
expect '"read":2,' summary.json
expect '"status":0' summary.json
"$prefix/bin/tidewire" spool inspect sp >inspected
expect 'archive ' inspected
"$prefix/bin/tidewire" dead list sp
cat out/*.ndjson >archive
[ "$(wc -l <archive)" = 4 ]
rm -rf out && mkdir out

echo "readme: workers, state, time"
block lua 2 >counts.lua
sample=$(dirname "$readme")/scripts/sample-events.ndjson
"$prefix/bin/tidewire" run --quiet counts.lua "$sample" >counted
expect '"nth":' counted
expect '"name":"window"' counted
expect '"count":' counted

echo "readme: what a script may do"
echo 'while true do end' >hang.lua
if "$prefix/bin/tidewire" check hang.lua 2>refusal; then exit 1; fi
expect 'hang.lua:1: stopped after 100000000 instructions' refusal

echo "readme: embedding in C"
block c 1 >host.c
# shellcheck disable=SC2046
cc -std=c11 -Wall -Wextra -Werror -o host host.c $(pkg-config --cflags --libs tidewire)
LD_LIBRARY_PATH=$(pkg-config --variable=libdir tidewire) ./host
expect '"data":{"total":12.5,"user":"ann","items":3}' out/events.ndjson
expect '"host":"h1"' out/events.ndjson
rm -rf out && mkdir out

echo "readme: embedding in Lua"
block lua 3 >embed.lua
lua5.4 embed.lua
# A Lua table has no order.
expect '"items":[]' out/events.ndjson
expect '"total":12.5' out/events.ndjson
expect '"id":1,"host":"h1"' out/events.ndjson
