# For scripts that try something out, point by point: `. scripts/checks.sh`, with a folder of their own in $work.
# shellcheck shell=bash
passed=0
failed=0

# check WHAT COMMAND...: a point that holds if the command succeeds; what the command says is shown if it does not.
check() {
  local what=$1
  shift
  if "$@" >"$work/out" 2>&1; then
    passed=$((passed + 1))
    echo "ok    $what"
  else
    failed=$((failed + 1))
    echo "FAIL  $what"
    sed 's/^/      /' "$work/out"
  fi
}
