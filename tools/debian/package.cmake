# package.cmake - the Debian packages: what is made for them alone, and what CPack is told.
#
#     vigil           the daemon, its tools, pages and units    component node
#     libvigil0       the client, for other programs            component library
#     libvigil-dev    what building such a program takes         component development
#
# tools/package makes them. Their files are made by every build, so that `cmake --install` has them.

set(VIGIL_MAINTAINER "The Vigil authors <vigil@example.org>" CACHE STRING "Who maintains the packages")
set(folder ${CMAKE_SOURCE_DIR}/tools/debian)

# The licence as Debian wants it: every line of the text behind a blank, and an empty one as a dot.
file(READ LICENSE licence)
string(REGEX MATCH "\nCopyright \\(c\\) ([^\n]*)\n\n(.*)\n$" found "${licence}")
set(holder "${CMAKE_MATCH_1}")
string(REPLACE "\n" "\n " terms " ${CMAKE_MATCH_2}")
string(REPLACE "\n \n" "\n .\n" terms "${terms}")
configure_file(${folder}/copyright.in copyright @ONLY)

add_custom_command(OUTPUT changelog.gz DEPENDS ${folder}/changelog
  COMMAND gzip -9nc ${folder}/changelog > changelog.gz VERBATIM)
add_custom_command(OUTPUT node.conf DEPENDS vigild COMMAND vigild config --example > node.conf VERBATIM)
list(APPEND papers changelog.gz node.conf)

foreach(shell bash)
  add_custom_command(OUTPUT vigil.${shell} DEPENDS vigil COMMAND vigil completion ${shell} > vigil.${shell} VERBATIM)
  list(APPEND papers vigil.${shell})
endforeach()
install(FILES ${CMAKE_BINARY_DIR}/vigil.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME vigil COMPONENT node)

set(doc_node vigil)
set(doc_library libvigil0)
set(doc_development libvigil-dev)
foreach(component node library development)
  install(FILES ${CMAKE_BINARY_DIR}/copyright ${CMAKE_BINARY_DIR}/changelog.gz
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${doc_${component}} COMPONENT ${component})
endforeach()
install(FILES ${CMAKE_BINARY_DIR}/node.conf DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/vigil/examples COMPONENT node)

add_custom_target(papers ALL DEPENDS ${papers})
