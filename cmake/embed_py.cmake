# cmake -D DIR=<folder of *.py> -D OUT=<file.c> -P embed_py.cmake
# Writes every file as a byte array: hexadecimal needs no escapes, so whatever quotes,
# semicolons and brackets the Python text holds cannot upset CMake or C.  Beside them goes
# a sorted table of the names defined at top level, so that looking one up costs little.
file(GLOB files ${DIR}/*.py)
list(SORT files)

set(arrays "")
set(table "")
set(names "")
set(index 0)
foreach(path IN LISTS files)
  get_filename_component(name ${path} NAME_WE)
  file(READ ${path} bytes HEX)
  string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND arrays "\nstatic const unsigned char ${name}_py[] = {\n${bytes}0};\n")
  string(APPEND table
    "    {\"${name}.py\", (const char *)${name}_py, sizeof ${name}_py - 1},\n")
  file(STRINGS ${path} lines REGEX "^(def|class) [A-Za-z0-9_]+")
  foreach(line IN LISTS lines)
    if(line MATCHES "^(def|class) ([A-Za-z0-9_]+)")
      list(APPEND names "${CMAKE_MATCH_2} ${index}") # a space sorts before all letters
    endif()
  endforeach()
  math(EXPR index "${index} + 1")
endforeach()
list(SORT names)
list(TRANSFORM names REPLACE "^(.*) (.*)$" "    NAME(\"\\1\", \\2),\n")
list(JOIN names "" names)

file(WRITE ${OUT}.new "/* Made by cmake/embed_py.cmake from src/codegen/py. */
#include \"codegen/helpers.h\"
${arrays}
const HelperFile HELPER_FILES[] = {
${table}    {NULL, NULL, 0},
};

#define NAME(text, file) {{text, sizeof text - 1}, file}
const HelperName HELPER_NAMES[] = {
${names}    {{NULL, 0}, 0},
};
const size_t HELPER_NAME_COUNT = sizeof HELPER_NAMES / sizeof HELPER_NAMES[0] - 1;
")
file(RENAME ${OUT}.new ${OUT})
