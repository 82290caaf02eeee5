# cmake -D DIR=<src/ops> -D OUT=<families.h> [-D WITHOUT=<regex of paths>] -P families.cmake
# Lists the operator families, X(name), by the lines `const OpFamily ops_<name> = FAMILY(`
# of the C files.  The list is written only when it changes, so that an edit of one family
# compiles no other file.
file(GLOB_RECURSE files ${DIR}/*.c)
if(WITHOUT)
  list(FILTER files EXCLUDE REGEX ${WITHOUT})
endif()

set(families "")
foreach(path IN LISTS files)
  file(STRINGS ${path} lines REGEX "FAMILY\\(")
  foreach(line IN LISTS lines)
    if(NOT line MATCHES "^const OpFamily ops_([a-z0-9_]+) = FAMILY\\(")
      message(FATAL_ERROR "${path}: a family is `const OpFamily ops_<name> = FAMILY(ops)`")
    endif()
    list(APPEND families "X(${CMAKE_MATCH_1})\n")
  endforeach()
endforeach()
list(SORT families)
list(JOIN families "" families)

set(text "/* Made by cmake/families.cmake from src/ops. */\n${families}")
set(old "")
if(EXISTS ${OUT})
  file(READ ${OUT} old)
endif()
if(NOT text STREQUAL old)
  file(WRITE ${OUT} "${text}")
endif()
