# What cpack makes: Debian packages (cpack -G DEB) and a tarball that runs wherever it is unpacked (cpack -G TGZ).
set(CPACK_PACKAGE_NAME roundel)
set(CPACK_PACKAGE_VENDOR roundel)
# Whoever publishes packages gives a real address: -DROUNDEL_PACKAGER="Name <address>".
set(ROUNDEL_PACKAGER "The roundel authors <roundel@localhost>" CACHE STRING "Maintainer of the Debian packages")
set(CPACK_PACKAGE_CONTACT "${ROUNDEL_PACKAGER}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "quantize ONNX models after training")
set(CPACK_COMPONENT_PROGRAM_DESCRIPTION "It loads a float ONNX model, runs a recipe of passes over calibration data, and
writes a quantized ONNX model and an encodings file, without Python, training
framework or inference runtime.")
set(CPACK_RESOURCE_FILE_LICENSE ${CMAKE_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
  WORLD_READ WORLD_EXECUTE)
# By generator: see the project's configuration.
set(CPACK_PROJECT_CONFIG_FILE ${CMAKE_SOURCE_DIR}/cmake/package_by_kind.cmake)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME roundel)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION science)
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "The static library roundel::roundel for CMake, its header, and an example.")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libroundel-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libspdlog-dev, libdnnl-dev, libyaml-cpp-dev, libonnx-dev, libprotobuf-dev, zlib1g-dev, libpng-dev, libturbojpeg0-dev")
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

string(TOLOWER "${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR}" system)
set(CPACK_ARCHIVE_FILE_NAME roundel-${PROJECT_VERSION}-${system})
set(CPACK_PACKAGE_FILE_NAME roundel-${PROJECT_VERSION}-${system})
include(CPack)
