#!/usr/bin/env bash
# Starts the service aionbd of deploy/compose.yaml by podman-compose, and Debian's Prometheus with the configuration that the
# file mounts, and looks whether they work together. In a network and with mounts of its own; ports are those of the file, but
# there is no bridge, so that nothing but the addresses inside differs. Grafana is not tried: Debian has none.
#
#   scripts/test-compose.sh DIRECTORY     where scripts/test-container.sh DIRECTORY has left its image
#
# Needs root and, besides what that script needs, Debian's podman-compose, prometheus and curl.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# = 1 ] || {
  echo "usage: $0 DIRECTORY" >&2
  exit 2
}
for program in podman podman-compose prometheus qemu-io nbdinfo curl; do
  command -v "$program" >/dev/null || {
    echo "$program is missing: apt-get install --no-install-recommends podman podman-compose runc prometheus qemu-utils libnbd-bin curl" >&2
    exit 1
  }
done
if [ "${own_network:-}" != 1 ]; then
  own_network=1 exec unshare --net --mount --propagation private "$0" "$@"
fi
ip link set lo up

keep=$(realpath "$1")
work=$(mktemp -d)
chmod 755 "$work"
prometheus=
compose=(podman-compose --podman-path "$work/podman" -p aionbd-test-$$ -f deploy/compose.yaml -f "$work/here.yaml")
finish() {
  [ -z "$prometheus" ] || kill "$prometheus" 2>/dev/null || true
  "${compose[@]}" down -t 5 >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap finish EXIT

. scripts/checks.sh
# soon COMMAND...: within 20 s.
soon() {
  for _ in $(seq 100); do
    "$@" && return
    sleep 0.2
  done
  return 1
}

# podman-compose 1.0 names the file's network besides the host's, which podman refuses.
cat >"$work/podman" <<EOF2
#!/bin/bash
arguments=()
while [ \$# -gt 0 ]; do
  case \$1 in
  --net | --network-alias) shift ;;
  *) arguments+=("\$1") ;;
  esac
  shift
done
exec podman --root "$keep/store" --runroot "$keep/run" --storage-driver overlay --cgroup-manager cgroupfs --events-backend file --runtime runc "\${arguments[@]}"
EOF2
chmod 755 "$work/podman"
# What has to be different here: the image that is there, and no bridge.
cat >"$work/here.yaml" <<EOF2
services:
  aionbd:
    image: localhost/aionbd:test
    network_mode: host
    ulimits:
      nofile: 4096
      nproc: 4096
EOF2
mkdir "$work/images"
truncate -s 64M "$work/images/disk.img"
chown -R 65532:65532 "$work/images"
export AIONBD_IMAGES=$work/images

echo "# engine: $(podman --version), $(podman-compose version 2>/dev/null | grep -i '^podman-compose' | head -1)"
check 'podman-compose starts the service aionbd' "${compose[@]}" up -d --no-build aionbd
name=$("$work/podman" ps --format '{{.Names}}' | head -1)
[ -n "$name" ] || {
  "${compose[@]}" up -d --no-build aionbd || true
  echo "the container does not run" >&2
  exit 1
}
check 'it serves' soon nbdinfo --size nbd://127.0.0.1:10809/disk.img
check 'what a client writes it can read again' qemu-io -f raw -c 'write -P 0x5a 1M 1M' -c 'read -P 0x5a 1M 1M' nbd://127.0.0.1:10809/disk.img
is_healthy() { "$work/podman" healthcheck run "$name"; }
check 'it is healthy' soon is_healthy
has_no_rights() {
  local pid status
  pid=$("$work/podman" inspect --format '{{.State.Pid}}' "$name")
  status=$(cat "/proc/$pid/status")
  grep -E '^(Uid|Cap|NoNewPrivs)' <<<"$status"
  grep -q '^Uid:.65532' <<<"$status" && grep -q '^CapEff:.0*$' <<<"$status" && grep -q '^NoNewPrivs:.1' <<<"$status"
}
check 'as user 65532, without capabilities and without a way to new ones' has_no_rights
has_read_only_root() { ! "$work/podman" exec "$name" touch /app/x; }
check 'and without a root that it could write to' has_read_only_root

# In the network of Compose the service has its name as its address.
printf '127.0.0.1 localhost aionbd\n' >"$work/hosts"
mount --bind "$work/hosts" /etc/hosts
prometheus --config.file=deploy/prometheus/prometheus.yml --storage.tsdb.path="$work/tsdb" --web.listen-address=127.0.0.1:9090 >"$work/prometheus.log" 2>&1 &
prometheus=$!
ask() { curl -sfg "http://127.0.0.1:9090/api/v1/$1"; }
is_scraped() { ask 'query?query=up{job="aionbd"}' | grep -q '"1"'; }
check 'Prometheus scrapes it, by its name in compose.yaml' soon is_scraped
has_counted() { ask 'query?query=sum(aionbd_requests_total{operation="write"})' | grep -q '"1"'; }
check 'and knows the write' soon has_counted
has_rules() { [ "$(ask rules | grep -o '"type":"\(recording\|alerting\)"' | wc -l)" = "$(grep -cE '(record|alert): ' deploy/prometheus/rules.yml)" ]; }
check 'all rules and alerts are loaded' soon has_rules

ends_well() { "$work/podman" stop -t 8 "$name" && [ "$("$work/podman" inspect --format '{{.State.ExitCode}}' "$name")" = 0 ]; }
check 'SIGTERM ends it, with 0' ends_well

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
