#!/bin/sh
# That the judge sees what it is there for: judge_test.sh BUILD_FOLDER. After a round that is
# right, one thing at a time is made wrong in a copy of it, and has to be found by its name.
set -eu
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
round=$(mktemp -d)
trap 'rm -rf "$round"' EXIT
ORACLE_KEEP=$round/right sh "$here/run.sh" "$build" 12 "${2:-11}"

wrong() { # KIND COMMAND: run in the copy
  rm -rf "$round/wrong"
  cp -a "$round/right" "$round/wrong"
  cd "$round/wrong"
  sh -euc "$2"
  if lua5.4 "$here/judge.lua" 12 dead.ndjson >verdict; then
    echo "judge: sees nothing wrong after: $2"
    exit 1
  fi
  grep -q "^judge: $1: " verdict || { echo "judge: not \"$1\" after: $2"; cat verdict; exit 1; }
  cd "$round"
}

# An event may stand there twice: what is changed is where it stands first, or everywhere.
oldest='f=$(ls -tr out/all* | head -1);'
sql='sqlite3 out/events.db'
forget() { echo "n=\$(grep -ho '\"n\":[0-9]*,' $1 | tail -1); sed -i \"/\$n/d\" $1"; }
# The last event may not have been acknowledged, but those after the first were counted.
wrong counted "n=\$(grep -ho '\"n\":[0-9]*,' \$(ls -tr out/all* | head -1) | head -1); sed -i \"/\$n/d\" out/all*"
wrong lost "$(forget out/lua.ndjson)"
wrong lost "$sql 'DELETE FROM events WHERE rowid = (SELECT max(rowid) FROM events)'"
wrong lost "rm out/host.ndjson"
wrong invented "$oldest sed -i '0,/\"n\":/s/\"n\":[0-9]*/\"n\":16000000/' \$f"
wrong payload "sed -i '0,/\"pad\"/s/\"pad\":\"[0-9a-f]/\"pad\":\"x/' out/lua.ndjson"
wrong order "tac out/lua.ndjson >turned; mv turned out/lua.ndjson"
wrong counted "$oldest sed -i '0,/\"c\":/s/\"c\":[0-9]*/\"c\":100000/' \$f"
wrong counted "$oldest sed -i '0,/\"c\":/s/\"c\":[0-9]*/\"c\":2/' \$f"
wrong twice "$sql \"INSERT INTO events SELECT id || 'x', name, timestamp, data, context, event FROM events LIMIT 1\""
wrong 'dead letter' "sed -i '\$d' dead.ndjson"
wrong 'dead letter' "sed -n '\$p' dead.ndjson >last; cat last >>dead.ndjson"
wrong torn "for i in \$(seq 14); do echo '{\"n' >>out/lua.ndjson; done"
wrong astray "cat out/lua.ndjson >>out/host.ndjson"
echo "judge: sees all that is wrong"
