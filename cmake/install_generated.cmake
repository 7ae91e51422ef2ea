# Run at the time of installation: what the program and scripts make, in its place below the prefix.
set(root "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}")

execute_process(COMMAND ${PROGRAM} man --into ${root}/${MANDIR}/man1 COMMAND_ERROR_IS_FATAL ANY)

function(install_completion shell path)
  get_filename_component(folder ${root}/${path} DIRECTORY)
  file(MAKE_DIRECTORY ${folder})
  execute_process(COMMAND ${PROGRAM} completion ${shell} OUTPUT_FILE ${root}/${path} COMMAND_ERROR_IS_FATAL ANY)
  message(STATUS "Installing: ${root}/${path}")
endfunction()
install_completion(bash ${DATADIR}/bash-completion/completions/roundel)
install_completion(zsh ${ZSHDIR}/_roundel)
install_completion(fish ${DATADIR}/fish/vendor_completions.d/roundel.fish)

set(doc ${root}/${DOCDIR})
configure_file(${SOURCE}/cmake/copyright.txt ${doc}/copyright COPYONLY)
configure_file(${SOURCE}/CHANGELOG.md ${doc}/changelog COPYONLY)
execute_process(COMMAND ${CMAKE_COMMAND} -DVERSION=${VERSION} -DROWS=${ROWS} -DPROGRAM=${PROGRAM}
  -DOUTPUT=${doc}/sbom.cdx.json -P ${SOURCE}/cmake/sbom.cmake COMMAND_ERROR_IS_FATAL ANY)
message(STATUS "Installing: ${doc}/sbom.cdx.json")

if(EXISTS "${GZIP}")
  file(GLOB pages ${root}/${MANDIR}/man1/roundel*.1)
  execute_process(COMMAND ${GZIP} -9nf ${pages} ${doc}/changelog COMMAND_ERROR_IS_FATAL ANY)
endif()
message(STATUS "Installing: ${root}/${MANDIR}/man1/roundel*")
