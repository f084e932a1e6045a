#!/bin/sh
# Routes the sample events under valgrind: no leak, no invalid access. BUILD_FOLDER
set -eu
command=$(cd "$1" && pwd)/tidewire
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
valgrind --quiet --leak-check=full --show-leak-kinds=definite,indirect,possible \
  --errors-for-leak-kinds=definite,indirect,possible --error-exitcode=1 \
  "$command" run --quiet "$root/scripts/example.lua" "$root/scripts/sample-events.ndjson"
