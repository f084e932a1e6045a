#!/bin/sh
# What the world does to an engine beside ending it: world.sh BUILD_FOLDER
#   * the clock is set back and forth all the time: events go on, order and counts hold
#   * the disk of the spool is full for a while: that is told, nothing is acknowledged
#     meanwhile, and it goes on by itself when there is room again
# The judge has to find nothing wrong.
set -eu
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
emitter=$build/tests/oracle/emitter

fail() { echo "world: $1 (see $work)" >&2; exit 1; }

# FUNCTION; in a folder of its own
round() {
  work=$(mktemp -d)
  mkdir "$work/out" "$work/spool"
  cp "$here/router.lua" "$work/"
  echo 'return "commit"' >"$work/durability.lua"
  cd "$work"
  "$1"
  "$emitter" 1 drain 2>>emitter.log || fail "$1: it does not drain"
  "$build/tidewire" dead export spool >dead.ndjson
  lua5.4 "$here/judge.lua" 5 dead.ndjson || fail "$1: judged wrong"
  cd /
}

jumping_clock() {
  for life in 1 2 3; do
    LD_PRELOAD=$build/tests/oracle/libclock.so "$emitter" "$life" until 3000 2>>emitter.log ||
      fail "the clock was set, and it ended with status $?"
  done
}

acknowledged() { tail -c +4097 ledger | tr -cd a | wc -c; }

# Waits until a command succeeds, for a minute.
await() {
  for _ in $(seq 600); do
    if "$@" >/dev/null; then return; fi
    sleep 0.1
  done
  return 1
}

full_disk() {
  mount -t tmpfs -o size=6m tidewire spool
  "$emitter" 1 until 300 2>>emitter.log || fail "there was room, and it ended with status $?"
  # All but a page of what is left.
  dd if=/dev/zero of=spool/ballast bs=4k count=100000 2>/dev/null || true
  "$emitter" 2 until 2000 2>>emitter.log &
  pid=$!
  await grep -q '^spool.*full' emitter.log || fail "a full disk was not told"
  before=$(acknowledged)
  sleep 2
  [ "$(acknowledged)" = "$before" ] || fail "the disk is full, and events are acknowledged"
  kill -0 $pid || fail "it ended when the disk was full"
  rm spool/ballast
  wait $pid || fail "there is room again, and it ended with status $?"
  grep -q '^spool.*written again' emitter.log || fail "that it goes on was not told"
}

# What is mounted goes with the namespace; so does its folder, when all is right.
if [ "${2:-}" = full_disk ]; then
  round full_disk
  umount "$work/spool"
  rm -rf "$work"
  exit
fi

round jumping_clock
rm -rf "$work"
if unshare -rm true 2>/dev/null; then
  unshare -rm sh "$here/world.sh" "$build" full_disk
  echo "world: a disk that was full: told, healed, nothing lost"
else
  echo "world: skipped: a file system of one's own cannot be mounted here"
fi
echo "world: the clock was set back and forth: nothing lost"
