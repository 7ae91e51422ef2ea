# Run at the time of installation: copies the shared libraries that PROGRAM needs, under the names that it
# asks for, to LIBDIR, and what Debian says of their licenses to DOCDIR. The C library is the machine's.
file(GET_RUNTIME_DEPENDENCIES EXECUTABLES ${PROGRAM} RESOLVED_DEPENDENCIES_VAR libraries
  POST_EXCLUDE_REGEXES "/(ld-linux[^/]*|libc|libm|libdl|libpthread|librt|libresolv)\\.so\\.[0-9.]*$")
set(root "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}")
foreach(library ${libraries})
  get_filename_component(name ${library} NAME)
  file(REAL_PATH ${library} path)
  configure_file(${path} ${root}/${LIBDIR}/${name} COPYONLY)
  message(STATUS "Installing: ${root}/${LIBDIR}/${name}")
  # Debian's lists of files have one of the two names of a folder.
  string(REGEX REPLACE "^/usr" "" other ${path})
  foreach(candidate ${path} ${other})
    execute_process(COMMAND dpkg-query -S ${candidate} OUTPUT_VARIABLE owner ERROR_QUIET RESULT_VARIABLE failed)
    if(NOT failed)
      string(REGEX REPLACE "[:,].*" "" package "${owner}")
      if(EXISTS /usr/share/doc/${package}/copyright)
        file(REAL_PATH /usr/share/doc/${package}/copyright license)
        configure_file(${license} ${root}/${DOCDIR}/${package} COPYONLY)
      endif()
      break()
    endif()
  endforeach()
endforeach()
