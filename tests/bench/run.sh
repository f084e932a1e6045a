#!/bin/sh
# The benchmarks: run.sh BUILD_FOLDER [job|emit|engine|growth|parts|key|reload ...]. All by default.
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

[ $# -gt 0 ] || set -- job emit engine growth parts key reload
for part in "$@"; do
  echo "## $part: $(nproc) processors, load $(cut -d ' ' -f 1-3 /proc/loadavg)"
  case $part in
    job | emit | engine | growth | parts | key | reload) "$part" ;;
    *)
      echo "bench: unknown part '$part': job, emit, engine, growth, parts, key, reload" >&2
      exit 64
      ;;
  esac
done
