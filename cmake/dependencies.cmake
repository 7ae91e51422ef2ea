# Third-party libraries, all Debian packages (scripts/packages.txt). Each is the secret of one room.
include(${CMAKE_CURRENT_LIST_DIR}/libraries.cmake)
# Headers alone.
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)

# Only the generated message classes of libonnx are used, not its checker or converters.
target_compile_definitions(roundel_onnx_proto INTERFACE ONNX_ML=1 ONNX_NAMESPACE=onnx)

# What `--version --json` and the bill of materials (cmake/sbom.cmake) say of them, one row each:
# name|version|license|file, a library or, if only headers are used, one of them.
function(roundel_dependency name version license file)
  set_property(GLOBAL APPEND PROPERTY ROUNDEL_DEPENDENCIES "${name}|${version}|${license}|${file}")
endfunction()

# The first match of `regex` in a header or a .pc file, for libraries that tell CMake no version.
function(roundel_version_in file regex out)
  set(${out} unknown PARENT_SCOPE)
  if(EXISTS "${file}")
    file(STRINGS "${file}" lines REGEX "${regex}" LIMIT_COUNT 1)
    if(lines MATCHES "${regex}")
      set(${out} "${CMAKE_MATCH_1}" PARENT_SCOPE)
    endif()
  endif()
endfunction()

find_path(ONNX_INCLUDE_DIR onnx/common/version.h)
roundel_version_in("${ONNX_INCLUDE_DIR}/onnx/common/version.h" "LAST_RELEASE_VERSION = \"([0-9.]+)\"" onnx_version)
get_filename_component(turbojpeg_folder ${ROUNDEL_TURBOJPEG_LIBRARY} DIRECTORY)
roundel_version_in("${turbojpeg_folder}/pkgconfig/libturbojpeg.pc" "^Version: ([0-9.]+)" turbojpeg_version)
find_path(DNNL_INCLUDE_DIR oneapi/dnnl/dnnl_version.h)
foreach(part MAJOR MINOR PATCH)
  roundel_version_in("${DNNL_INCLUDE_DIR}/oneapi/dnnl/dnnl_version.h" "DNNL_VERSION_${part} +([0-9]+)" dnnl_${part})
endforeach()

get_target_property(spdlog_file spdlog::spdlog LOCATION)
get_target_property(yaml_file yaml-cpp LOCATION)
get_target_property(protobuf_file protobuf::libprotobuf LOCATION)
get_target_property(png_file PNG::PNG LOCATION)
get_target_property(zlib_file ZLIB::ZLIB LOCATION)
find_file(CLI11_HEADER CLI/CLI.hpp)
find_file(NLOHMANN_JSON_HEADER nlohmann/json.hpp)
roundel_dependency(CLI11 "${CLI11_VERSION}" BSD-3-Clause "${CLI11_HEADER}")
roundel_dependency(libjpeg-turbo "${turbojpeg_version}" "IJG AND BSD-3-Clause AND Zlib" "${ROUNDEL_TURBOJPEG_LIBRARY}")
roundel_dependency(libpng "${PNG_VERSION_STRING}" libpng-2.0 "${png_file}")
roundel_dependency(nlohmann-json "${nlohmann_json_VERSION}" MIT "${NLOHMANN_JSON_HEADER}")
roundel_dependency(oneDNN "${dnnl_MAJOR}.${dnnl_MINOR}.${dnnl_PATCH}" Apache-2.0 "${ROUNDEL_DNNL_LIBRARY}")
roundel_dependency(onnx "${onnx_version}" Apache-2.0 "${ROUNDEL_ONNX_PROTO_LIBRARY}")
roundel_dependency(protobuf "${Protobuf_VERSION}" BSD-3-Clause "${protobuf_file}")
roundel_dependency(spdlog "${spdlog_VERSION}" MIT "${spdlog_file}")
roundel_dependency(yaml-cpp "${yaml-cpp_VERSION}" MIT "${yaml_file}")
roundel_dependency(zlib "${ZLIB_VERSION_STRING}" Zlib "${zlib_file}")

# Writes embedded/dependencies.cpp (cmd/version.h).
function(roundel_write_dependencies output)
  get_property(rows GLOBAL PROPERTY ROUNDEL_DEPENDENCIES)
  set(text "#include \"cmd/version.h\"\n\nstd::vector<roundel::cmd::Dependency> roundel::cmd::Dependencies() {\n  return {\n")
  foreach(row ${rows})
    string(REPLACE "|" ";" fields "${row}")
    list(GET fields 0 name)
    list(GET fields 1 version)
    string(APPEND text "      {\"${name}\", \"${version}\"},\n")
  endforeach()
  string(APPEND text "  };\n}\n")
  file(CONFIGURE OUTPUT ${output} CONTENT "${text}" @ONLY)
endfunction()
