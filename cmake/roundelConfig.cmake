# find_package(roundel): defines roundel::roundel. The libraries that it is linked with must be installed for development
# (Debian: the package libroundel-dev asks for them).
include(${CMAKE_CURRENT_LIST_DIR}/libraries.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/roundelTargets.cmake)
