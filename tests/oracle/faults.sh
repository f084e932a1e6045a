#!/bin/sh
# Has calls to the system fail below an engine: faults.sh BUILD_FOLDER [quick]. Files of the spool
# and of the outputs; at the 1st, 2nd, 3rd … call, a few in a row. What has to happen each time:
#   * nothing crashes, and events are acknowledged again when the fault is over (emitter.c `until`)
#   * a fault that is no matter of trying again is told, with the system's words
#   * an engine that cannot begin says why; the next one begins
#   * the judge finds nothing wrong: nothing that was acknowledged is lost
set -eu
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
fault=$build/tests/libfault.so
places="1 2 3 4 6 9 14 21 35 60 100"
[ "${2:-}" != quick ] || places="1 4 11 30"
lives=0

fail() { echo "faults: $1 (see $work)" >&2; exit 1; }

words_of() {
  case $1 in
    EIO) echo 'Input/output error' ;;
    ENOSPC) echo 'No space left\|disk is full\|is full' ;;
    EMFILE | 24) echo 'Too many open files' ;;
    *) echo . ;;
  esac
}

# One life with a fault: CALLS ERRNO PATH FIRST
life() {
  lives=$((lives + 1))
  status=0 count=3
  [ "$2" != short ] || count=1 # a second one in a row may tear what the first has saved
  (cd "$work" && LD_PRELOAD=$fault FAULT_CALLS=$1 FAULT_ERRNO=$2 FAULT_PATH="$3" FAULT_FIRST=$4 \
    FAULT_COUNT=$count exec "$build/tests/oracle/emitter" "$lives" until 400 2>life.log) || status=$?
  cat "$work/life.log" >>"$work/emitter.log"
  if [ $status = 3 ]; then
    grep -q "^emitter: start: .*\\($(words_of "$2")\\)" "$work/life.log" ||
      fail "$1 $2 $3 at $4: it did not begin, and does not say why"
    refused=$((refused + 1))
  elif [ $status != 0 ]; then
    fail "$1 $2 $3 at $4: it ended with status $status"
  elif grep -qi "$(words_of "$2")" "$work/life.log"; then
    told=$((told + 1))
  fi
}

judge() {
  (cd "$work" && "$build/tests/oracle/emitter" 1 drain 2>>emitter.log &&
    "$build/tidewire" spool verify -q spool &&
    "$build/tidewire" dead export spool >dead.ndjson &&
    lua5.4 "$here/judge.lua" "$lives" dead.ndjson) || fail "$1: judged wrong"
}

# A case: CALLS ERRNO PATH, at all places. `must` be told at least once, or heals by itself.
case_of() { # must|may CALLS ERRNO PATH
  work=$(mktemp -d)
  mkdir "$work/out"
  cp "$here/router.lua" "$work/"
  echo 'return "commit"' >"$work/durability.lua"
  lives=0 refused=0 told=0
  for first in $places; do life "$2" "$3" "$4" "$first"; done
  judge "$2 $3 $4"
  [ "$1" = may ] || [ $((refused + told)) -gt 0 ] || fail "$2 $3 $4: it was never told"
  echo "faults: $2 $3 $4: $lives lives, $refused did not begin, $told told"
  rm -rf "$work"
}

writes=write,pwrite,writev,pwritev
for code in ENOSPC EIO; do
  case_of must $writes $code '*/spool/*'
  case_of must fsync,fdatasync,msync $code '*/spool/*'
  case_of must $writes $code '*/out/*'
done
case_of may $writes EINTR '*/spool/*'
case_of may $writes short '*/spool/*'
case_of may fsync,fdatasync,msync EINTR '*/spool/*'
case_of may open EIO '*/spool/*'
case_of may open 24 '*spool/*'
case_of may ftruncate EIO '*/spool/*'
case_of may $writes EINTR '*/out/*'
case_of may $writes short '*/out/*'
case_of may fsync,fdatasync EIO '*/out/*'
case_of may open EIO '*out/*'
case_of may rename,link EIO '*out/*'
case_of may ftruncate EIO '*/out/*'
echo "faults: all told or healed, nothing lost"
