#!/bin/sh
# The oracle: run.sh BUILD_FOLDER KILLS [SEED]. Kills an engine at random moments, in rounds of at
# most a hundred kills, and judges each round. A round that is judged wrong keeps its folder;
# with ORACLE_KEEP the last one is kept there.
set -eu
build=$(cd "$1" && pwd)
kills=$2
seed=${3:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
here=$(cd "$(dirname "$0")" && pwd)
export ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}"

round() { # KILLS SEED
  work=$(mktemp -d)
  mkdir "$work/out"
  cp "$here/router.lua" "$work/"
  [ $(($2 % 3)) = 0 ] && durability=os || durability=commit
  echo "return \"$durability\"" >"$work/durability.lua"
  echo "oracle: $1 kills, seed $2, durability $durability"
  (
    cd "$work" &&
      "$build/tests/oracle/oracle" "$build/tests/oracle/emitter" "$1" "$2" &&
      "$build/tidewire" spool verify -q spool &&
      "$build/tidewire" dead export spool >dead.ndjson &&
      lua5.4 "$here/judge.lua" "$1" dead.ndjson
  ) || { echo "oracle: wrong with seed $2 (see $work)" >&2; exit 1; }
  if [ -n "${ORACLE_KEEP:-}" ]; then
    rm -rf "$ORACLE_KEEP"
    mv "$work" "$ORACLE_KEEP"
  else
    rm -rf "$work"
  fi
}

done=0
while [ "$done" -lt "$kills" ]; do
  next=$((kills - done < 100 ? kills - done : 100))
  round "$next" "$((seed + done))"
  done=$((done + next))
done
echo "oracle: $done kills, nothing lost, nothing counted twice"
