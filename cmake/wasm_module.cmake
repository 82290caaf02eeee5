# The core as a WebAssembly module: build/wasm/oxide_xla.wasm.  cmake/wasm.cmake has the
# tools; src/wasm/exports.c says what the module exports and imports.
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

add_executable(oxide_linked ${PROJECT_SOURCE_DIR}/src/wasm/exports.c
               ${PROJECT_SOURCE_DIR}/src/wasm/memory.c
               ${PROJECT_SOURCE_DIR}/src/wasm/decimal.c
               ${PROJECT_SOURCE_DIR}/src/wasm/print.c
               ${PROJECT_SOURCE_DIR}/src/wasm/sort.c)
set_target_properties(oxide_linked PROPERTIES POSITION_INDEPENDENT_CODE OFF)
# They are functions of libc: what they do is not to become a call of themselves.
target_compile_options(oxide_linked PRIVATE -ffreestanding)
target_link_libraries(oxide_linked PRIVATE oxide_objects oxide_flags m)
# The stack lies first: where it ends memory ends, and nothing is overwritten.  Data then
# ends below 1 MiB, so that addresses in the code take three bytes, not four.
# Loops keep one counter where LLVM would make one for each address; what is computed again
# compresses better than what is kept for it.  -O0 is for the driver, which would run
# wasm-opt with passes of its own.
target_link_options(oxide_linked PRIVATE -O0
  -Wl,-mllvm,-disable-lsr -Wl,-mllvm,-inline-threshold=-50 -Wl,-mllvm,-enable-pre=0
  -Wl,-mllvm,-disable-machine-cse -Wl,-mllvm,-disable-machine-licm
  -Wl,--gc-sections -Wl,--strip-all -Wl,-O2 -Wl,--stack-first -Wl,-z,stack-size=524288)

# The module is what is left when binaryen's optimizer has seen it, too: its -Oz, pass by
# pass, without local-cse and memory-packing.  That cuts the tables of operators at every
# run of zeros, and the addresses of the pieces take 8 KB of brotli, zeros next to nothing.  The first
# kilobyte of memory is the end of the stack, so that an address less a small number never
# is below zero, and additions become offsets of loads and stores.
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
  directize generate-stack-ir optimize-stack-ir)
list(TRANSFORM passes PREPEND "--")
find_program(WASM_OPT wasm-opt REQUIRED)
add_custom_command(
  OUTPUT oxide_xla.wasm
  COMMAND ${WASM_OPT} --optimize-level 2 --shrink-level 2 ${passes} --low-memory-unused
          --enable-bulk-memory --enable-sign-ext --enable-mutable-globals
          --enable-nontrapping-float-to-int
          $<TARGET_FILE:oxide_linked> -o oxide_xla.wasm
  DEPENDS oxide_linked
  COMMENT "Optimizing oxide_xla.wasm"
  VERBATIM)
add_custom_target(oxide_wasm ALL DEPENDS oxide_xla.wasm)
