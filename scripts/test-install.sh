#!/usr/bin/env bash
# Makes the tarballs and installs them in fresh Debian systems, as their users would: once without a compiler, with the prebuilt addon, and
# once with a compiler and no prebuilt addon. Each time a file is served that qemu-io reads and writes from outside. Needs root and Debian's
# mmdebstrap and qemu-utils. Debian 12 has no Node.js 20, so both systems get this machine's. What npm would fetch comes from
# node_modules here, by scripts/registry.mjs.
#
#   scripts/test-install.sh [TARBALLS]     a directory with tarballs that `npm run package` has made; default: made now
set -euo pipefail
cd "$(dirname "$0")/.."

for program in mmdebstrap qemu-io npm node unshare; do
  command -v "$program" >/dev/null || {
    echo "$program is missing: apt-get install --no-install-recommends mmdebstrap qemu-utils util-linux" >&2
    exit 1
  }
done

[ -d node_modules/marked ] || {
  echo "the tarballs are made with the packages of this checkout: run npm ci first" >&2
  exit 1
}

work=$(mktemp -d)
server=
registry=
finish() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  [ -z "$registry" ] || kill "$registry" 2>/dev/null || true
  rm -rf --one-file-system "$work"
}
trap finish EXIT

. scripts/checks.sh

tarballs=${1:-$work/tarballs}
if [ $# = 0 ]; then
  check 'the tarballs are made' npm run -s package -- --out "$tarballs"
fi
main=$(ls "$tarballs"/aionbd-[0-9]*.tgz)
# Of this machine; there may be others.
prebuilt=$(ls "$tarballs/aionbd-linux-$(node -p process.arch)"-gnu-*.tgz)
echo "# $(basename "$main") $(basename "$prebuilt")"

# It has what the packages depend on, and no aionbd. Its stdin stays open as long as this script lives.
mkfifo "$work/never"
node scripts/registry.mjs <>"$work/never" >"$work/registry" &
registry=$!
for _ in $(seq 600); do [ -s "$work/registry" ] && break; sleep 0.1; done

# What a user has: Node.js with npm and the headers, as the archives of the Node.js project have them.
cat >"$work/hook.sh" <<'HOOK'
set -eu
root=$1
install -D -m 755 "$(readlink -f "$(command -v node)")" "$root/usr/local/bin/node"
mkdir -p "$root/usr/local/lib/node_modules" "$root/usr/local/include"
cp -a "$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")" "$root/usr/local/lib/node_modules/npm"
ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
ln -sf ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"
for headers in "$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")/include/node" /usr/include/node; do
  [ -d "$headers" ] && cp -a "$headers" "$root/usr/local/include/" && break
done
HOOK

# debian NAME PACKAGES: a fresh system in $work/NAME, with an image to serve
debian() {
  mmdebstrap --quiet --variant=minbase --include="$2" --customize-hook="sh $work/hook.sh \"\$1\"" bookworm "$work/$1" &&
    mkdir "$work/$1/app" "$work/$1/tarballs" && cp "$main" "$prebuilt" "$work/$1/tarballs/" && truncate -s 64M "$work/$1/app/disk.img"
}

# inside NAME COMMAND...: there, in /app. /proc is mounted for this command only.
inside() { (become_inside "$@"); }
# The same in the place of this process.
become_inside() {
  local root=$work/$1
  shift
  # shellcheck disable=SC2016
  exec unshare --mount sh -c 'mount -t proc proc "$1/proc"; root=$1; shift; exec chroot "$root" "$@"' sh "$root" \
    env -i HOME=/root PATH=/app/node_modules/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    npm_config_registry="$(cat "$work/registry")" npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false \
    sh -c 'cd /app && exec "$@"' sh "$@"
}

# Starts a server there and waits for its URI, $uri.
serve() {
  become_inside "$1" aionbd serve disk.img --listen 127.0.0.1:0 --metrics off >"$work/uri" 2>"$work/log" &
  server=$!
  for _ in $(seq 600); do
    uri=$(head -n 1 "$work/uri")
    [ -n "$uri" ] && return
    kill -0 "$server" || break
    sleep 0.1
  done
  cat "$work/log"
  return 1
}
is_written() { [ "$(dd if="$work/$1/app/disk.img" bs=1M skip=1 count=1 status=none | tr -d 'Z' | wc -c)" = 0 ]; }
ends_well() {
  kill -TERM "$server"
  local code=0
  wait "$server" || code=$?
  server=
  cat "$work/log"
  return "$code"
}
serves() {
  check 'aionbd serve serves a file there' serve "$1"
  check 'qemu-io outside writes it and reads it again' qemu-io -f raw -c 'write -P 0x5a 1M 1M' -c 'read -P 0x5a 1M 1M' -c 'read -P 0 3M 1M' "$uri"
  check 'what it wrote is in the file' is_written "$1"
  check 'the server ends by itself on SIGTERM, with 0' ends_well
}
is_absent() { ! inside "$1" sh -c "command -v $2"; }
has() { [ -e "$work/$1" ] || { ls "$work/$(dirname "$1")"; return 1; }; }
has_not() { [ ! -e "$work/$1" ]; }
uri=

echo '# a Debian system without a compiler'
check 'it is made' debian bare libstdc++6
check 'it has no compiler' is_absent bare g++
check 'and no python3' is_absent bare python3
refuses() { ! inside bare npm install "/tarballs/$(basename "$main")" >"$work/refusal" 2>&1; }
check 'without the prebuilt addon the installation fails' refuses
check 'and says what to install' grep 'apt-get install g++ make python3' "$work/refusal"
check 'with the prebuilt addon, npm i installs the tarballs' \
  inside bare npm install "/tarballs/$(basename "$main")" "/tarballs/$(basename "$prebuilt")"
check 'the prebuilt addon is there' has "bare/app/node_modules/$(basename "${prebuilt%-*.tgz}")"
check 'nothing was built' has_not bare/app/node_modules/aionbd/build
check 'aionbd doctor loads the addon' inside bare sh -c "aionbd doctor | grep '^ok *addon'"
serves bare

echo '# a Debian system with a compiler'
check 'it is made' debian full libstdc++6,python3,make,g++
check 'npm i installs the package alone' inside full npm install "/tarballs/$(basename "$main")"
check 'its addon was built' has full/app/node_modules/aionbd/build/Release/aionbd.node
check 'aionbd doctor loads the addon' inside full sh -c "aionbd doctor | grep '^ok *addon'"
serves full

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
