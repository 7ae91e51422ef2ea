# What `cmake --install` installs, by component:
#   program      the program, manual pages, completion scripts, documentation, bill of materials
#   license      its text, which Debian has already
#   development  the library (cmake/library.cmake)
#   bundle       the shared libraries that the program needs beyond the C library, for the tarball (cmake/package.cmake)
# Recipes and target profiles are compiled into the program.
include(GNUInstallDirs)

# Of Debian, or of everybody else.
if(EXISTS /etc/debian_version)
  set(zsh_functions vendor-completions)
else()
  set(zsh_functions site-functions)
endif()
set(ROUNDEL_ZSH_DIR ${CMAKE_INSTALL_DATADIR}/zsh/${zsh_functions} CACHE STRING "Where zsh looks for completion functions")

# A bundle beside the program comes first. It is found by an RPATH, which libraries that libraries need
# heed as well; where there is no such folder this changes nothing.
set_target_properties(roundel PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}/roundel"
  BUILD_WITH_INSTALL_RPATH ON)
target_link_options(roundel PRIVATE -Wl,--disable-new-dtags)
install(TARGETS roundel RUNTIME COMPONENT program)

# Pages and scripts are made by the program itself, at the time of installation.
find_program(GZIP_PROGRAM gzip)
install(CODE "
  set(PROGRAM \"$<TARGET_FILE:roundel>\")
  set(VERSION \"${PROJECT_VERSION}\")
  set(SOURCE \"${CMAKE_SOURCE_DIR}\")
  set(ROWS \"${CMAKE_BINARY_DIR}/dependencies.txt\")
  set(GZIP \"${GZIP_PROGRAM}\")
  set(MANDIR \"${CMAKE_INSTALL_MANDIR}\")
  set(DOCDIR \"${CMAKE_INSTALL_DOCDIR}\")
  set(DATADIR \"${CMAKE_INSTALL_DATADIR}\")
  set(ZSHDIR \"${ROUNDEL_ZSH_DIR}\")
  include(\"${CMAKE_SOURCE_DIR}/cmake/install_generated.cmake\")
" COMPONENT program)

install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT program)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT license)
file(GLOB pages CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/*.md)
install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs COMPONENT program)
install(FILES passes/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs RENAME passes.md COMPONENT program)

get_property(rows GLOBAL PROPERTY ROUNDEL_DEPENDENCIES)
list(JOIN rows "\n" rows)
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/dependencies.txt CONTENT "${rows}\n" @ONLY)

install(CODE "
  set(PROGRAM \"$<TARGET_FILE:roundel>\")
  set(LIBDIR \"${CMAKE_INSTALL_LIBDIR}/roundel\")
  set(DOCDIR \"${CMAKE_INSTALL_DOCDIR}/licenses\")
  include(\"${CMAKE_SOURCE_DIR}/cmake/bundle.cmake\")
" COMPONENT bundle EXCLUDE_FROM_ALL)
