# Third-party libraries, all Debian packages (scripts/packages.txt). Each is the secret of one room.
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(Protobuf REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PNG REQUIRED)
find_package(CLI11 REQUIRED)

# Only the generated message classes of libonnx are used, not its checker or converters.
find_library(ONNX_PROTO_LIBRARY onnx_proto REQUIRED)
add_library(onnx_proto_lib INTERFACE)
target_compile_definitions(onnx_proto_lib INTERFACE ONNX_ML=1 ONNX_NAMESPACE=onnx)
target_link_libraries(onnx_proto_lib INTERFACE ${ONNX_PROTO_LIBRARY} protobuf::libprotobuf)

find_library(TURBOJPEG_LIBRARY turbojpeg REQUIRED)
add_library(turbojpeg_lib INTERFACE)
target_link_libraries(turbojpeg_lib INTERFACE ${TURBOJPEG_LIBRARY})

# Found as a library: its CMake package asks for OpenCL, which the CPU engine does not use.
find_library(DNNL_LIBRARY dnnl REQUIRED)
add_library(dnnl_lib INTERFACE)
target_link_libraries(dnnl_lib INTERFACE ${DNNL_LIBRARY})
