# CMake before 3.31 does not know WASI: there is nothing to say of it.
