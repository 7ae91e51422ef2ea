# The libraries that programs with roundel in them are linked with: read when roundel is built, and again
# by roundelConfig.cmake for whoever uses the installed library.
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
if(NOT TARGET yaml-cpp)  # its name from version 0.8 on
  add_library(yaml-cpp ALIAS yaml-cpp::yaml-cpp)
endif()
find_package(Protobuf REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PNG REQUIRED)

# These have no CMake package, or one that asks for more than is used here: oneDNN's wants OpenCL.
function(roundel_library_target name library)
  string(TOUPPER ROUNDEL_${name}_LIBRARY variable)
  find_library(${variable} ${library} REQUIRED)
  if(NOT TARGET roundel_${name})
    add_library(roundel_${name} INTERFACE IMPORTED GLOBAL)
    target_link_libraries(roundel_${name} INTERFACE ${${variable}} ${ARGN})
  endif()
endfunction()
roundel_library_target(onnx_proto onnx_proto protobuf::libprotobuf)
roundel_library_target(turbojpeg turbojpeg)
roundel_library_target(dnnl dnnl)
