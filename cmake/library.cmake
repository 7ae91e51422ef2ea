# The installed library: one archive of all rooms behind include/roundel/roundel.h, as roundel::roundel, component
# `development`. Neither the rooms nor their headers are installed.
get_property(rooms GLOBAL PROPERTY ROUNDEL_ROOMS)
set(objects "")
foreach(room ${rooms})
  list(APPEND objects $<TARGET_OBJECTS:${room}>)
endforeach()
# The names of what the linker has to find again: cmake/libraries.cmake.
add_library(roundel_archive STATIC api/roundel.cpp ${objects})
target_compile_definitions(roundel_archive PRIVATE ROUNDEL_VERSION="${PROJECT_VERSION}")
target_include_directories(roundel_archive PRIVATE ${CMAKE_SOURCE_DIR}
  PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_features(roundel_archive PUBLIC cxx_std_17)
target_link_libraries(roundel_archive PRIVATE roundel_onnx_proto roundel_turbojpeg roundel_dnnl OpenMP::OpenMP_CXX
  spdlog::spdlog yaml-cpp ZLIB::ZLIB PNG::PNG Threads::Threads ${CMAKE_DL_LIBS})
set_target_properties(roundel_archive PROPERTIES OUTPUT_NAME roundel EXPORT_NAME roundel)

include(CMakePackageConfigHelpers)
set(folder ${CMAKE_INSTALL_LIBDIR}/cmake/roundel)
install(TARGETS roundel_archive EXPORT roundelTargets ARCHIVE COMPONENT development)
install(EXPORT roundelTargets NAMESPACE roundel:: DESTINATION ${folder} COMPONENT development)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/roundelConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES cmake/roundelConfig.cmake cmake/libraries.cmake ${CMAKE_BINARY_DIR}/roundelConfigVersion.cmake
  DESTINATION ${folder} COMPONENT development)
install(DIRECTORY include/roundel DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
# Debian's packages have folders of their own.
set(doc ${CMAKE_INSTALL_DATADIR}/doc/libroundel-dev)
install(DIRECTORY examples/library DESTINATION ${doc}/examples COMPONENT development)
install(FILES cmake/copyright.txt DESTINATION ${doc} RENAME copyright COMPONENT development)
