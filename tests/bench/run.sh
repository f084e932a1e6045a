#!/bin/sh
# The benchmarks: run.sh BUILD_FOLDER [job|emit|engine|spool|isolation|growth|parts|key|reload ...]. All by default.
# Figures are ratios within one run; absolute times of a shared machine mean little.
set -eu
build=$1; shift
here=$(dirname "$0")
work=$build/bench-data
events=${BENCH_EVENTS:-1000000}
runs=${BENCH_RUNS:-5}
mkdir -p "$work/hand" "$work/tide"

input() { # [EVENTS]
  count=${1:-$events}
  [ -f "$work/events-$count.ndjson" ] || {
    "$build/tests/bench/bench_generate" "$count" >"$work/events-$count.ndjson.part"
    mv "$work/events-$count.ndjson.part" "$work/events-$count.ndjson"
  }
  echo "$work/events-$count.ndjson"
}

job() {
  file=$(input)
  echo "# routing job: $events events, $(wc -c <"$file") bytes, medians of $runs interleaved runs"
  "$build/tests/bench/bench_race" "$runs" "$events" \
    "lua-cjson by hand" "exec lua5.4 $here/job_by_hand.lua $file $work/hand" \
    "tidewire run" "BENCH_OUT=$work/tide exec $build/tidewire run --quiet $here/job_router.lua $file"
  lua5.4 "$here/compare_job.lua" "$work/hand" "$work/tide"
}

emit() {
  echo "# emit: two contexts of 5 fields, data of 5 fields, null backend"
  "$build/tests/bench/bench_emit_bench"
  LUA_CPATH="$build/?.so;;" lua5.4 "$here/emit_bench.lua"
}

# The command with 1 and 2 workers: the last column is how many times the events of one worker
# two do in the same time.
workers() { # TITLE ROUTER
  run="BENCH_OUT=$work/tide exec $build/tidewire run --quiet"
  "$build/tests/bench/bench_race" "$runs" "$events" \
    "$1, 1 worker" "$run --workers 1 $here/$2 $file" \
    "$1, 2 workers" "$run --workers 2 $here/$2 $file"
}

# Workers, the cost of the sandbox's limits, and emit from several threads.
engine() {
  file=$(input)
  workers "no files" engine_router.lua
  workers "two files" job_router.lua
  "$build/tests/bench/bench_engine_bench" "$here/engine_router.lua" "$(input 100000)"
  "$build/tests/bench/bench_threads_bench" "$here/engine_router.lua"
}

# Branches beside the job that leave the event alone: the ratio is base / with branches.
branches() { # KIND
  router="exec $build/tidewire run --quiet $here/branches_router.lua $file"
  set -- "$1" "BENCH_OUT=$work/tide BENCH_KIND=$1"
  "$build/tests/bench/bench_race" "$runs" "$events" \
    "$1: no branch" "$2 BENCH_BRANCHES=0 $router" "$1: 1 branch" "$2 BENCH_BRANCHES=1 $router" \
    "$1: 8 branches" "$2 BENCH_BRANCHES=8 $router" "$1: 32 branches" "$2 BENCH_BRANCHES=32 $router"
}

growth() {
  file=$(input)
  echo "# growth: cost per event against size, processors and branches"
  LUA_CPATH="$build/?.so;;" lua5.4 "$here/growth_bench.lua"
  for kind in allowlist drop read; do branches "$kind"; done
}

parts() {
  for part in reader event view processor chunk backend; do
    [ ! -x "$build/tests/bench/bench_${part}_bench" ] || {
      echo "# $part"
      "$build/tests/bench/bench_${part}_bench"
    }
  done
}

key() {
  echo "# key: what the choice of a worker costs who sends"
  "$build/tests/bench/bench_key_bench"
}

reload() {
  echo "# reload: ${BENCH_RELOADS:-1000} reloads under full load, 2 workers, 2 threads that send"
  "$build/tests/bench/bench_reload_bench" "$here" "${BENCH_RELOADS:-1000}"
}

# Until all is with its backends, by time: "os" is to do at least 0.70 of what memory does, and
# "commit" 0.50. Beside them a program that appends the same bytes, and syncs as often as a commit
# of a mebibyte does.
spool() {
  file=$(input)
  spool=$work/spool
  bench=$build/tests/bench/bench_durable_bench
  job="rm -rf $spool; BENCH_SPOOL=$spool BENCH_OUT=$work/tide"
  run="exec $bench job $here/spool_router.lua $file"
  echo "# spool: the routing job; by time, os is to be at least 0.70 and commit 0.50"
  "$build/tests/bench/bench_race" "$runs" "$events" \
    "in memory" "$job BENCH_DURABILITY=none $run" \
    "outboxes in memory" "$job BENCH_DURABILITY=memory $run" \
    "spool, os" "$job BENCH_DURABILITY=os $run" \
    "spool, commit" "$job BENCH_DURABILITY=commit $run" \
    "append" "exec $bench append $file $work/appended 0" \
    "append, fdatasync" "exec $bench append $file $work/appended 1048576"
  rm -f "$work/appended"
  echo "# spool: the store alone"
  mkdir -p "$spool"
  "$build/tests/bench/bench_spool_bench" "$spool"
  backlog "${BENCH_BACKLOG:-1000000}" 200
  echo "# spool: memory with 100 MB and with 2 GB that wait"
  backlog 100000 1000
  backlog 2000000 1000
}

backlog() { # EVENTS BYTES
  rm -rf "$spool"
  export BENCH_SPOOL="$spool"
  echo "# spool: a start with $1 undelivered events of $2 bytes"
  "$bench" fill "$here/backlog_router.lua" "$1" "$2"
  for run in 1 2 3; do "$bench" first "$here/backlog_router.lua"; done
  "$bench" first "$here/backlog_router.lua" all
  rm -rf "$spool"
}

isolation() {
  echo "# isolation: a healthy backend beside one that hangs, one that fails and a slow one"
  "$build/tests/bench/bench_isolation_bench"
}

[ $# -gt 0 ] || set -- job emit engine spool isolation growth parts key reload
for part in "$@"; do
  echo "## $part: $(nproc) processors, load $(cut -d ' ' -f 1-3 /proc/loadavg)"
  case $part in
    job | emit | engine | spool | isolation | growth | parts | key | reload) "$part" ;;
    *)
      echo "bench: unknown part '$part': job, emit, engine, spool, isolation," \
        "growth, parts, key, reload" >&2
      exit 64
      ;;
  esac
done
