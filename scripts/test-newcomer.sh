#!/usr/bin/env bash
# What a newcomer does: clones this checkout (what is committed), follows the README from its first command on, and then the guides, literally,
# in the clone: npm ci, npm start, and what that says to type next; npm install -g; and all that the guides say. What can't be run says why not.
# Needs root, a network for npm, the ports 10809, 9809 and 9090 of the loopback, and the packages of the tests (scripts/packages.mjs); takes some minutes.
#
#   scripts/test-newcomer.sh
set -euo pipefail
cd "$(dirname "$0")/.."
checkout=$PWD
[ -d node_modules/marked ] || {
  echo "what follows the documents needs the packages of this checkout: run npm ci first" >&2
  exit 1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone -q "$checkout" "$work/aionbd"
mkdir "$work/prefix" "$work/home" "$work/files"

# npm keeps what is installed globally, its cache and its settings in places of their own; settings of this machine stay valid.
export npm_config_prefix=$work/prefix npm_config_cache=$work/cache npm_config_update_notifier=false
export PATH=$work/prefix/bin:$PATH TERM=xterm NO_COLOR=1 LC_ALL=C.UTF-8
unset NODE_OPTIONS

passed=0
failed=0
# follow WHAT COMMAND...: runs something that reports, and counts what it says.
follow() {
  local what=$1 report=$work/report
  shift
  : >"$report"
  echo "== $what"
  "$@" || true
  cat "$report"
  passed=$((passed + $(grep -c '^ok' "$report" || true)))
  failed=$((failed + $(grep -c '^not ok' "$report" || true)))
  if [ "$(tail -n 1 "$report")" != done ]; then
    echo "not ok - it was not followed to the end"
    failed=$((failed + 1))
  fi
}

# In the clone, with folders of its own for /srv, /mnt and so on; the network is this machine's, since npm needs it.
here() { # DOCUMENT
  rm -rf "$work/place"
  # shellcheck disable=SC2016
  unshare --mount --pid --fork --kill-child --mount-proc --propagation private \
    env work="$work" bash -euo pipefail -c '
      for target in /srv /mnt /var/lib /etc/default /etc/prometheus /etc/systemd/system; do
        mkdir -p "$work/place$target"
        [ ! -d "$target" ] || mount --bind "$work/place$target" "$target"
      done
      cd "$work/aionbd"
      exec "$@"' - \
    node "$checkout/test/guides/follow.mjs" "$1" --report "$work/report" --files "$work/files" --can clean-clone
}

# On a machine of its own, with the kernel's client; see test/guides/world.sh.
in_uml() { # DOCUMENT
  rm -rf "$work/place"
  mkdir "$work/place"
  timeout -k 5 600 linux.uml mem=1G rootfstype=hostfs rootflags=/ rw quiet con=null con0=null,fd:1 "umid=newcomer-$$" \
    "init=$checkout/test/guides/world.sh" "checkout=$work/aionbd" "place=$work/place" "report=$work/report" \
    "document=$work/aionbd/$1" "node=$(command -v node)" uml=1 </dev/null >"$work/console" 2>&1
}

# The README comes first: it builds and installs what the guides want.
for document in README.md docs/guides/*.md; do
  # Without what the README builds there is nothing to follow.
  [ "$document" = README.md ] || [ -e "$work/aionbd/dist/cli/main.js" ] || break
  if [ "$document" = README.md ] || ! grep -q '^<!-- follow in User Mode Linux -->$' "$document"; then
    follow "$document" here "$document"
    (cd "$work/aionbd" && git clean -qfdx -e node_modules -e build -e dist)
  fi
  if grep -q '^<!-- follow in User Mode Linux -->$' "$document"; then
    follow "$document, in User Mode Linux" in_uml "$document"
  fi
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
