# Cross-compiles for arm64 with Debian's compiler and multi-arch libraries; what is built runs under qemu's
# user emulation: cmake --preset dev -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64.cmake (scripts/test_on.sh --arch arm64).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
# The loader and the C library of libc6:arm64 are found without -L.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
