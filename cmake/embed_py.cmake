# cmake -D DIR=<folder of *.py> -D OUT=<file.c> -P embed_py.cmake
# Writes every file as a byte array: hexadecimal needs no escapes, so whatever quotes,
# semicolons and brackets the Python text holds cannot upset CMake or C.
file(GLOB files ${DIR}/*.py)
list(SORT files)

set(arrays "")
set(table "")
foreach(path IN LISTS files)
  get_filename_component(name ${path} NAME_WE)
  file(READ ${path} bytes HEX)
  string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND arrays "\nstatic const unsigned char ${name}_py[] = {\n${bytes}0};\n")
  string(APPEND table
    "    {\"${name}.py\", (const char *)${name}_py, sizeof ${name}_py - 1},\n")
endforeach()

file(WRITE ${OUT}.new "/* Made by cmake/embed_py.cmake from src/codegen/py. */
#include \"codegen/helpers.h\"
${arrays}
const HelperFile HELPER_FILES[] = {
${table}    {NULL, NULL, 0},
};
")
file(RENAME ${OUT}.new ${OUT})
