# cmocka for another machine, from the source that Debian has of it: CMOCKA is its target.
include(FetchContent)
if(POLICY CMP0135)
  cmake_policy(SET CMP0135 NEW) # files are as old as the download
endif()
set(source cmocka_1.1.5.orig.tar.xz)
FetchContent_Declare(cmocka
  URL http://deb.debian.org/debian/pool/main/c/cmocka/${source}
      http://snapshot.debian.org/archive/debian/20250520T000000Z/pool/main/c/cmocka/${source}
  URL_HASH SHA256=f0ccd8242d55e2fd74b16ba518359151f6f8383ff8aef4976e48393f77bba8b6)
set(WITH_STATIC_LIB ON CACHE INTERNAL "")
set(WITH_EXAMPLES OFF CACHE INTERNAL "")
set(UNIT_TESTING OFF CACHE INTERNAL "")
FetchContent_GetProperties(cmocka)
if(NOT cmocka_POPULATED)
  FetchContent_Populate(cmocka)
  set(CMAKE_C_EXTENSIONS ON) # of POSIX
  add_subdirectory(${cmocka_SOURCE_DIR} ${cmocka_BINARY_DIR} EXCLUDE_FROM_ALL)
  set(CMAKE_C_EXTENSIONS OFF)
endif()
set(CMOCKA cmocka-static)
target_include_directories(cmocka-static SYSTEM INTERFACE ${cmocka_SOURCE_DIR}/include)
