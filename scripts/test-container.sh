#!/usr/bin/env bash
# Builds the image of the Dockerfile and looks whether a container of it serves a file, healthy, without any right, and ends
# well. Needs root and Debian's buildah, podman, runc, mmdebstrap, qemu-utils and libnbd-bin; no Docker daemon. The images that the Dockerfile
# begins with are put together from Debian's packages and this machine's Node.js, so nothing is pulled.
#
#   scripts/test-container.sh [DIRECTORY]     where to keep the base images for the next time; default: a temporary one
set -euo pipefail
cd "$(dirname "$0")/.."

for program in buildah podman runc mmdebstrap qemu-io nbdinfo; do
  command -v "$program" >/dev/null || {
    echo "$program is missing: apt-get install --no-install-recommends buildah podman runc mmdebstrap qemu-utils libnbd-bin" >&2
    exit 1
  }
done

work=$(mktemp -d)
keep=${1:-$work}
mkdir -p "$keep"
name=aionbd-test-$$
buildah=(buildah --root "$keep/store" --runroot "$keep/run" --storage-driver overlay)
podman=(podman --root "$keep/store" --runroot "$keep/run" --storage-driver overlay --cgroup-manager cgroupfs --events-backend file --runtime runc)
finish() {
  "${podman[@]}" rm -f -t 1 "$name" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap finish EXIT

. scripts/checks.sh

echo "# engine: $(buildah --version | head -1), $(podman --version), $(runc --version | head -1)"

# What node:20-bookworm and -slim are for us: Debian, Node.js with npm and headers, user 1000.
cat >"$work/hook.sh" <<'HOOK'
root=$1
install -D -m 755 "$(readlink -f "$(command -v node)")" "$root/usr/local/bin/node"
mkdir -p "$root/usr/local/lib/node_modules" "$root/usr/local/include"
cp -a "$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")" "$root/usr/local/lib/node_modules/npm"
ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
ln -sf ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"
for headers in /usr/include/node /usr/local/include/node; do
  [ -d "$headers" ] && cp -a "$headers" "$root/usr/local/include/" && break
done
chroot "$root" useradd -u 1000 -m node
HOOK
base() { # TAG PACKAGES
  "${buildah[@]}" images -q "docker.io/library/node:$1" 2>/dev/null | grep -q . && return
  echo "# putting together node:$1"
  mmdebstrap --quiet --variant=minbase --include="$2" --customize-hook="sh $work/hook.sh \"\$1\"" bookworm "$work/$1.tar"
  local container
  container=$("${buildah[@]}" from scratch)
  "${buildah[@]}" add -q "$container" "$work/$1.tar" / >/dev/null
  "${buildah[@]}" config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --cmd node "$container"
  "${buildah[@]}" commit -q --rm "$container" "docker.io/library/node:$1" >/dev/null
  rm "$work/$1.tar"
}
base 20-bookworm-slim libstdc++6
base 20-bookworm libstdc++6,python3,make,g++,ca-certificates

# Inside, npm has to trust what this machine trusts.
printf 'cafile=/etc/ssl/certs/ca-certificates.crt\nupdate-notifier=false\n' >"$work/npmrc"
check 'the image is built' "${buildah[@]}" bud --isolation chroot --pull-never --format docker --layers=false -t aionbd:test \
  --volume /etc/ssl/certs/ca-certificates.crt:/etc/ssl/certs/ca-certificates.crt:ro --volume "$work/npmrc:/usr/local/etc/npmrc:ro" .
echo "# the image has $("${buildah[@]}" images --format "{{.Size}}" aionbd:test)"

mkdir "$work/data"
truncate -s 64M "$work/data/disk.img"
chown -R 65532:65532 "$work/data"
chmod 755 "$work"
port=20809
run=("${podman[@]}" run -d --name "$name" --ulimit nofile=4096:4096 --ulimit nproc=4096:4096 --network host --read-only --cap-drop all
  --security-opt no-new-privileges --pull never -v "$work/data:/data" localhost/aionbd:test
  serve /data/disk.img --listen "127.0.0.1:$port" --metrics 127.0.0.1:9809)
check 'a container starts with a read-only root and without capabilities' "${run[@]}"
is_up() { for _ in $(seq 100); do nbdinfo --size "nbd://127.0.0.1:$port" && return; sleep 0.1; done; return 1; }
check 'it serves' is_up
pid=$("${podman[@]}" inspect --format '{{.State.Pid}}' "$name")
is_nobody() { [ "$(awk '/^Uid:/ { print $2 }' "/proc/$pid/status")" = 65532 ] && [ "$(awk '/^Gid:/ { print $2 }' "/proc/$pid/status")" = 65532 ]; }
check 'as user 65532 of group 65532' is_nobody
check 'what a client outside writes it can read again' qemu-io -f raw -c 'write -P 0x5a 1M 1M' -c 'read -P 0x5a 1M 1M' "nbd://127.0.0.1:$port"
is_written() { [ "$(dd if="$work/data/disk.img" bs=1M skip=1 count=1 status=none | tr -d 'Z' | wc -c)" = 0 ]; }
check 'and it is in the file' is_written
is_healthy() { for _ in $(seq 30); do "${podman[@]}" healthcheck run "$name" && return; sleep 0.5; done; return 1; }
check 'its health check says that it is healthy' is_healthy
ends_well() { "${podman[@]}" stop -t 8 "$name" && [ "$("${podman[@]}" inspect --format '{{.State.ExitCode}}' "$name")" = 0 ]; }
check 'as process 1 it ends by itself on SIGTERM, with 0' ends_well

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
