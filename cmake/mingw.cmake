# The tools that make programs for Windows on x86-64, and run them: MinGW-w64, and Wine.
# Debian's wine64 is not on the PATH.  Wine keeps its registry and C: in build/wine.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR AMD64)
set(CMAKE_C_COMPILER x86_64-w64-mingw32-gcc)
set(CMAKE_RC_COMPILER x86_64-w64-mingw32-windres)
find_program(WINE NAMES wine64 wine PATHS /usr/lib/wine)
get_filename_component(wine_prefix ${CMAKE_CURRENT_LIST_DIR}/../build/wine ABSOLUTE)
set(CMAKE_CROSSCOMPILING_EMULATOR
    env WINEPREFIX=${wine_prefix} WINEDEBUG=-all ${WINE})
set(CMAKE_FIND_ROOT_PATH /usr/x86_64-w64-mingw32)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
