#!/bin/sh
# Installs BUILD_FOLDER into a temporary prefix and uses it: hosts in C through pkg-config and
# find_package (shared and static), hosts in C++, Lua and Python, the command, and the README's
# examples.
set -eu
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

cmake --install "$build" --prefix "$prefix" >"$work/install.log"
lib=$(dirname "$(find "$prefix" -name libtidewire.so)")

echo "install: exported symbols"
strange=$(nm -D --defined-only "$lib/libtidewire.so" | awk '{print $3}' |
  grep -vE '^(tw_[a-z0-9_]+|luaopen_tidewire)$' || true)
[ -z "$strange" ] || { echo "exported but not public:"; echo "$strange"; exit 1; }
for symbol in $(nm -D --defined-only "$lib/libtidewire.so" | awk '{print $3}'); do
  grep -q "$symbol(" "$prefix/include/tidewire.h" || { echo "$symbol is not in tidewire.h"; exit 1; }
done
objdump -p "$lib/libtidewire.so" | grep -q 'SONAME *libtidewire.so.0'

echo "install: the header in every language"
for standard in c99 c11 c17; do
  echo '#include <tidewire.h>' | cc -std=$standard -Wall -Wextra -pedantic -Werror \
    -fsyntax-only -I"$prefix/include" -x c -
done
if command -v c++ >/dev/null; then
  for standard in c++98 c++17; do
    echo '#include <tidewire.h>' | c++ -std=$standard -Wall -Wextra -pedantic -Werror \
      -fsyntax-only -I"$prefix/include" -x c++ -
  done
fi

echo "install: the module exports its entry alone and does not link liblua"
module=$(find "$prefix" -path '*lua/5.4/tidewire.so')
[ "$(nm -D --defined-only "$module" | awk '{print $3}')" = luaopen_tidewire ]
if objdump -p "$module" | grep 'NEEDED.*liblua'; then exit 1; fi

echo "install: a host through pkg-config"
export PKG_CONFIG_PATH="$lib/pkgconfig"
# shellcheck disable=SC2046
cc -std=c11 -Wall -Werror -o "$work/host" "$here/host.c" $(pkg-config --cflags --libs tidewire)
LD_LIBRARY_PATH=$lib "$work/host"

if command -v c++ >/dev/null; then
  echo "install: a host in C++"
  # shellcheck disable=SC2046
  c++ -x c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -o "$work/host++" "$here/host.c" \
    $(pkg-config --cflags --libs tidewire)
  LD_LIBRARY_PATH=$lib "$work/host++"
  # shellcheck disable=SC2046
  c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -o "$work/cpp_host" \
    "$here/../embedding/cpp_host.cpp" $(pkg-config --cflags --libs tidewire) -pthread
  LD_LIBRARY_PATH=$lib "$work/cpp_host"
fi

echo "install: hosts whose scripts are edited while they run"
# shellcheck disable=SC2046
cc -Wall -Werror -o "$work/order_service" "$here/../../scripts/order-service.c" \
  $(pkg-config --cflags --libs tidewire) -pthread
LD_LIBRARY_PATH=$lib python3 -B "$here/../embedding/order_service_test.py" "$work/order_service"
LUA_CPATH="$(dirname "$module")/?.so;;" python3 -B "$here/../embedding/shop_test.py"

echo "install: a host in Python"
python3 -B "$here/../embedding/python_host.py" "$lib/libtidewire.so"

echo "install: a static host through pkg-config"
mkdir "$work/static"
cp "$lib/libtidewire.a" "$work/static"
# shellcheck disable=SC2046
cc -std=c11 -Wall -Werror -o "$work/host_static" "$here/host.c" -L"$work/static" \
  $(pkg-config --cflags tidewire) $(pkg-config --static --libs tidewire | sed 's/-L[^ ]*//')
"$work/host_static"

echo "install: a host whose Lua loads the module beside the library"
# shellcheck disable=SC2046
cc -std=c11 -Wall -Werror -o "$work/two_copies" "$here/two_copies.c" \
  $(pkg-config --cflags --libs tidewire lua5.4)
LD_LIBRARY_PATH=$lib "$work/two_copies" "$(dirname "$module")/?.so"

echo "install: hosts through find_package"
cmake -S "$here" -B "$work/build" -DCMAKE_PREFIX_PATH="$prefix" >"$work/cmake.log" ||
  { cat "$work/cmake.log"; exit 1; }
cmake --build "$work/build" >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
"$work/build/host_shared"
"$work/build/host_static"

echo "install: a Lua program"
export LUA_CPATH="$(dirname "$module")/?.so;;"
lua5.4 "$here/use.lua"

echo "install: the command"
mkdir "$work/command" "$work/readme"
cd "$work/command"
"$prefix/bin/tidewire" --version
printf '{"name":"a"}\n' >in.ndjson
cat >router.lua <<'LUA'
local tw = require "tidewire"
local cjson = require "cjson"
assert(cjson.null == tw.null)
return tw.router { backends = { out = tw.backends.file { path = "out.ndjson" } } }
LUA
"$prefix/bin/tidewire" run --quiet router.lua in.ndjson
cmp in.ndjson out.ndjson
[ -f "$prefix/share/man/man1/tidewire.1" ]

cd "$work/readme"
sh "$here/readme.sh" "$prefix"
