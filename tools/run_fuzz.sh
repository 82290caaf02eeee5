#!/bin/sh
# tools/run_fuzz.sh [SECONDS]: runs every libFuzzer target for about that long, side by
# side.  Seeds come from tests/fuzz/corpus/<target>, where the reader takes those of
# fuzz_compile; what is found on the way stays in build/fuzz/corpus, and inputs that fail
# lie in build/fuzz/failures.  The seed is fixed, so that a longer run goes through what a
# shorter one did; FUZZ_SEED=0 draws another.
set -eu

seconds=${1:-60}
out=build/fuzz
passed=0
failed=0
running=

seeds_of() { # seeds_of NAME
    case $1 in
    fuzz_reader) echo tests/fuzz/corpus/fuzz_compile ;;
    *) echo "tests/fuzz/corpus/$1" ;;
    esac
}

targets=$(find build/asan/tests/fuzz -maxdepth 1 -type f -name 'fuzz_*' -perm -u+x | sort)
for target in $targets; do
    seeds=$(seeds_of "$(basename "$target")")
    [ -d "$seeds" ] || { echo "no seeds in $seeds" >&2; exit 1; }
done

stop() {
    for job in $running; do
        kill "${job#*:}" 2>/dev/null || true
    done
}
trap 'stop; exit 130' INT TERM

mkdir -p $out/failures
for target in $targets; do
    name=$(basename "$target")
    mkdir -p "$out/corpus/$name"
    "$target" -seed="${FUZZ_SEED:-1}" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 \
        -artifact_prefix="$out/failures/$name-" -print_final_stats=1 \
        "$out/corpus/$name" "$(seeds_of "$name")" >"$out/$name.log" 2>&1 &
    running="$running $name:$!"
done

for job in $running; do
    name=${job%:*}
    if wait "${job#*:}"; then
        passed=$((passed + 1))
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$name.log")
        echo "$name: $runs runs"
    else
        failed=$((failed + 1))
        echo "$name: FAILED"
        tail -n 40 "$out/$name.log"
        sed -n 's/.*Test unit written to //p' "$out/$name.log" | while read -r input; do
            echo "its input, in base64:"
            base64 "$input"
        done
    fi
done
echo "fuzz: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
