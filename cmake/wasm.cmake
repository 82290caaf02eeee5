# The tools that make WebAssembly of the core: clang with wasi-libc, lld of the same version,
# and that version's run-time library for wasm32.  The newest clang that has one is taken,
# or what -D CMAKE_C_COMPILER=... says.  Where there is none, or with -D OXIDE_XLA_ZIG=ON,
# the wheel ziglang is, which has all of these: its modules are larger.
set(CMAKE_SYSTEM_NAME WASI)
list(APPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(CMAKE_C_COMPILER_TARGET wasm32-wasi)

list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES OXIDE_XLA_ZIG)
foreach(name clang-22 clang-21 clang-20 clang-19 clang)
  if(CMAKE_C_COMPILER OR OXIDE_XLA_ZIG)
    break()
  endif()
  find_program(found_${name} ${name})
  if(found_${name})
    execute_process(
      COMMAND ${found_${name}} --target=wasm32-wasi -print-libgcc-file-name
      OUTPUT_VARIABLE library OUTPUT_STRIP_TRAILING_WHITESPACE)
    if(EXISTS "${library}")
      set(CMAKE_C_COMPILER ${found_${name}})
    endif()
  endif()
endforeach()
if(NOT CMAKE_C_COMPILER)
  find_program(OXIDE_XLA_PYTHON NAMES $ENV{PYTHON} python3)
  execute_process(
    COMMAND ${OXIDE_XLA_PYTHON} -c "import ziglang; print(ziglang.__path__[0])"
    OUTPUT_VARIABLE folder OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(folder)
    set(CMAKE_C_COMPILER ${folder}/zig cc)
    set(OXIDE_XLA_ZIG ON)
  endif()
endif()
if(NOT CMAKE_C_COMPILER)
  message(FATAL_ERROR "no clang has a run-time library for wasm32: "
                      "tools/setup.sh wasm installs one, or says what to install")
endif()

# Reactor: a library whose functions are called, not a program that runs once.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-mexec-model=reactor")
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
