#!/bin/sh
# Runs the tests: all of them, or the named tiers (static unit kernel docker).
# Installs what is missing first. Each tier closes with node's own test summary.
set -eu
cd "$(dirname "$0")/.."
sh test/lab/prepare.sh
tiers="${*:-static unit kernel docker}"
status=0
say() { printf '\n== %s\n' "$*" >&2; }
for tier in $tiers; do
  say "$tier"
  case "$tier" in
    static)
      npm run --silent check || status=1
      npm run --silent audit || status=1 ;;
    unit)
      # shellcheck disable=SC2046
      node --import tsx --test --test-concurrency=2 --test-reporter=spec test/*.test.ts \
        $(find test/unit test/contract test/sim test/fuzz -name '*.test.ts' | sort) || status=1 ;;
    kernel | docker)
      # Two files at a time: each has hosts of its own, and most of its time is waiting.
      # shellcheck disable=SC2046
      node --import tsx --test --test-concurrency=2 --test-reporter=spec \
        $(find "test/$tier" -name '*.test.ts' | sort) || status=1 ;;
    *) echo "test/run.sh: unknown tier $tier (static unit kernel docker)" >&2; exit 2 ;;
  esac
done
exit "$status"
