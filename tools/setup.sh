#!/bin/sh
# tools/setup.sh build|test|viewer|wasm|web|cross: sees to it that the C tools are there;
# with viewer Node, with wasm the tools of the WebAssembly build, with web a browser, with
# cross compilers and emulators for aarch64 and Windows, too.  As root on Debian
# and its relatives it installs what is missing; elsewhere it names it and fails.
set -eu

has() { command -v "$1" >/dev/null 2>&1; }
has_header() { printf '#include <stdarg.h>\n#include <stddef.h>\n#include <setjmp.h>
#include <stdint.h>\n#include <%s>\n' "$1" | cc -E - >/dev/null 2>&1; }
has_fuzzer() { printf 'int LLVMFuzzerTestOneInput(const char *p, unsigned long n)
{ return (int)n + !p; }\n' | clang -x c -fsanitize=fuzzer,address -o /dev/null - 2>/dev/null; }

missing=
need() { # need PACKAGE TEST...
    package=$1
    shift
    "$@" || missing="$missing $package"
}

check() {
    missing=
    need gcc has cc
    need libc6-dev has_header stdio.h
    need cmake has cmake
    need ninja-build has ninja
    # Optional: the program then starts sooner, see CMakeLists.txt.
    [ "$(id -u)" -ne 0 ] || need musl-tools has musl-gcc
    need python3-venv "${PYTHON:-python3}" -c 'import venv, ensurepip'
    case $1 in
    test) check_test ;;
    viewer) check_node ;;
    wasm) check_wasm ;;
    web) check_wasm && need chromium has chromium ;;
    cross) check_cross ;;
    esac
}

check_test() {
    need g++ has c++
    need pkg-config has pkg-config
    need clang has clang
    need clang-format has clang-format
    need libcmocka-dev has_header cmocka.h
    # What reads the completions and the manual page.
    need zsh has zsh
    need fish has fish
    need mandoc has mandoc
    need graphviz has dot
    if ! has clang || ! has_fuzzer; then
        version=$(clang -dumpversion 2>/dev/null | cut -d. -f1)
        missing="$missing libclang-rt-${version:-14}-dev"
    fi
}

# clang and lld of one version, as lld reads what clang's LTO wrote, with the library of
# that clang.  The newest that Debian's releases have together; cmake/wasm.cmake takes any.
check_wasm() {
    if has clang-19 || ! has_zig; then
        need clang-19 has clang-19
        need lld-19 has wasm-ld-19
        need wasi-libc test -d /usr/include/wasm32-wasi
        need libclang-rt-19-dev-wasm32 has_wasm_builtins
    fi
    need binaryen has wasm-opt
    check_node
}

check_node() {
    need nodejs has node
    need npm has npm
}

check_cross() {
    need gcc-aarch64-linux-gnu has aarch64-linux-gnu-gcc
    need libc6-dev-arm64-cross test -d /usr/aarch64-linux-gnu/include
    need qemu-user has qemu-aarch64
    need gcc-mingw-w64-x86-64 has x86_64-w64-mingw32-gcc
    need wine64 has_wine
}

has_wine() { has wine64 || has wine || [ -x /usr/lib/wine/wine64 ]; }

# The wheel ziglang, which has the same.
has_zig() { "${PYTHON:-python3}" -c "import ziglang" 2>/dev/null; }

has_wasm_builtins() { [ -n "$(find /usr/lib/llvm-19/lib/clang -name '*wasm32*.a')" ]; }

check "${1:-test}"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! has apt-get; then
    echo "missing packages:$missing" >&2
    echo "help: apt-get install$missing, or what they are called here" >&2
    exit 1
fi
echo "installing$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # a list of words
apt-get install -qq -y --no-install-recommends $missing >/dev/null
check "${1:-test}"
[ -z "$missing" ] || { echo "still missing:$missing" >&2; exit 1; }
