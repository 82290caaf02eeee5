# The compiler as WebAssembly modules: build/wasm/oxide_xla.wasm, and oxide_xla_core.wasm
# without the operators of com.microsoft and ai.onnx.ml.  cmake/wasm.cmake has the tools;
# src/wasm/exports.c says what the modules export and import.
target_compile_definitions(oxide_objects PRIVATE OX_NO_FILES OX_NO_DUMP
                           OX_ONLY_JSON)
target_compile_options(oxide_objects PRIVATE -ffunction-sections -fdata-sections)
set_target_properties(oxide_objects PROPERTIES POSITION_INDEPENDENT_CODE OFF)
# Copies are instructions, not calls, and conversions do not ask first whether they would
# trap.  Small structs, which are Str and Dim, cross calls as their members: else each call
# writes them to the stack and passes an address.  No function of libc takes or gives one.
# What is called twice is a function, here and where the link optimizes.
target_compile_options(oxide_flags INTERFACE -mbulk-memory -mnontrapping-fptoint
                       "SHELL:-Xclang -target-abi -Xclang experimental-mv"
                       "SHELL:-mllvm -inline-threshold=-50"
                       "SHELL:-mllvm -enable-pre=0")

# Functions of libc in small, and what lld is told: loops keep one counter where LLVM would
# make one for each address; what is computed again compresses better than what is kept for
# it.  The stack lies first: where it ends memory ends, and nothing is overwritten.  Data
# then ends below 1 MiB, so that addresses in the code take three bytes, not four.
set(small_libc ${PROJECT_SOURCE_DIR}/src/wasm/decimal.c
    ${PROJECT_SOURCE_DIR}/src/wasm/print.c ${PROJECT_SOURCE_DIR}/src/wasm/sort.c)
set(link_options
  -Wl,-mllvm,-disable-lsr -Wl,-mllvm,-inline-threshold=-50 -Wl,-mllvm,-enable-pre=0
  -Wl,-mllvm,-disable-machine-cse -Wl,-mllvm,-disable-machine-licm -Wl,--stack-first)
if(OXIDE_XLA_ZIG) # whose linker takes none of these, and finds all of libc in its own
  set(small_libc "")
  set(link_options "")
  string(REPLACE "-flto" "" CMAKE_C_FLAGS_MINSIZEREL "${CMAKE_C_FLAGS_MINSIZEREL}")
  target_compile_options(oxide_flags INTERFACE -mno-multivalue)
endif()
# The limits of web/compiler/tools/size.js are for modules that clang links.
set(linker lld)
if(OXIDE_XLA_ZIG)
  set(linker zig)
endif()
file(WRITE ${PROJECT_BINARY_DIR}/linker.txt ${linker})

# What differs in the module without the operators of other domains: the registry, the
# Python helpers that its operators call, and --cache.
set(core ${PROJECT_BINARY_DIR}/generated/core)
set(core_without "/(ml|microsoft)/|/stepped[.]c")
set(core_helpers ${helper_files})
list(FILTER core_helpers EXCLUDE REGEX
     "/(generation|ml|ml_tree|moe|ordered|packed_attention|packed_weights).py$")
add_custom_command(
  OUTPUT ${core}/families.h
  COMMAND ${CMAKE_COMMAND} -E make_directory ${core}
  COMMAND ${CMAKE_COMMAND} -D DIR=${PROJECT_SOURCE_DIR}/src/ops -D OUT=${core}/families.h
          -D WITHOUT=${core_without} -P ${PROJECT_SOURCE_DIR}/cmake/families.cmake
  DEPENDS ${family_files} ${PROJECT_SOURCE_DIR}/cmake/families.cmake
  COMMENT "Listing the operator families of the core"
  VERBATIM)
add_custom_command(
  OUTPUT ${core}/helper_files.c
  COMMAND ${CMAKE_COMMAND} -E make_directory ${core}
  COMMAND embed_helpers ${core}/helper_files.c ${core_helpers}
  DEPENDS embed_helpers ${core_helpers}
  COMMENT "Embedding the Python helpers of the core"
  VERBATIM)

# A module is what is left when binaryen's optimizer has seen it, too: its -Oz, pass by
# pass, without local-cse and memory-packing.  That cuts the tables of operators at every
# run of zeros, and the addresses of the pieces take 8 KB of brotli, zeros next to nothing.
# The first kilobyte of memory is the end of the stack, so that an address less a small
# number never is below zero, and additions become offsets of loads and stores.  Loads and
# stores say how they are aligned, which engines do not ask: said alike it takes less.
set(passes
  duplicate-function-elimination once-reduction ssa-nomerge dce remove-unused-names
  remove-unused-brs remove-unused-names optimize-instructions pick-load-signs
  precompute-propagate optimize-added-constants-propagate code-pushing
  simplify-locals-nostructure vacuum reorder-locals remove-unused-brs merge-locals
  coalesce-locals simplify-locals vacuum reorder-locals coalesce-locals
  reorder-locals vacuum code-folding merge-blocks remove-unused-brs remove-unused-names
  merge-blocks precompute-propagate optimize-instructions rse vacuum dae-optimizing
  inlining-optimizing duplicate-function-elimination duplicate-import-elimination
  merge-similar-functions simplify-globals-optimizing remove-unused-module-elements
  directize dealign generate-stack-ir optimize-stack-ir)
list(TRANSFORM passes PREPEND "--")
find_program(WASM_OPT wasm-opt REQUIRED)

# wasm_module(NAME OBJECTS SOURCES...): NAME.wasm.
function(wasm_module name objects)
  add_executable(${name} ${objects} ${ARGN}
                 ${PROJECT_SOURCE_DIR}/src/wasm/exports.c
                 ${PROJECT_SOURCE_DIR}/src/wasm/memory.c ${small_libc})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF
                        OUTPUT_NAME ${name}.linked)
  target_include_directories(${name} PRIVATE ${core} ${PROJECT_SOURCE_DIR}/include
                             ${PROJECT_SOURCE_DIR}/src)
  # They are functions of libc: what they do is not to become a call of themselves.
  target_compile_options(${name} PRIVATE -ffreestanding)
  target_link_libraries(${name} PRIVATE oxide_flags m)
  # -O0 is for the driver, which would run wasm-opt with passes of its own.
  target_link_options(${name} PRIVATE -O0 ${link_options} -Wl,--gc-sections
    -Wl,--strip-all -Wl,-O2 -Wl,-z,stack-size=524288)
  add_custom_command(
    OUTPUT ${name}.wasm
    COMMAND ${WASM_OPT} --optimize-level 2 --shrink-level 2 ${passes} --low-memory-unused
            --enable-bulk-memory --enable-sign-ext --enable-mutable-globals
            --enable-nontrapping-float-to-int
            $<TARGET_FILE:${name}> -o ${name}.wasm
    DEPENDS ${name}
    COMMENT "Optimizing ${name}.wasm"
    VERBATIM)
  add_custom_target(${name}_wasm ALL DEPENDS ${name}.wasm)
endfunction()

set(objects $<TARGET_OBJECTS:oxide_objects>)
wasm_module(oxide_xla ${objects})
wasm_module(oxide_xla_core
            "$<FILTER:${objects},EXCLUDE,/(registry|helper_files|step)[.]c>"
            ${PROJECT_SOURCE_DIR}/src/passes/sizes/step.c
            ${PROJECT_SOURCE_DIR}/src/ops/core/registry.c
            ${core}/families.h ${core}/helper_files.c)
target_compile_definitions(oxide_xla_core PRIVATE OX_WITHOUT_STEP=1)
