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

foreach(shell bash zsh)
  add_custom_command(OUTPUT vigil.${shell} DEPENDS vigil COMMAND vigil completion ${shell} > vigil.${shell} VERBATIM)
  list(APPEND papers vigil.${shell})
endforeach()
install(FILES ${CMAKE_BINARY_DIR}/vigil.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME vigil COMPONENT node)
install(FILES ${CMAKE_BINARY_DIR}/vigil.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions RENAME _vigil COMPONENT node)

set(doc_node vigil)
set(doc_library libvigil0)
set(doc_development libvigil-dev)
foreach(component node library development)
  install(FILES ${CMAKE_BINARY_DIR}/copyright ${CMAKE_BINARY_DIR}/changelog.gz
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${doc_${component}} COMPONENT ${component})
endforeach()
install(FILES ${CMAKE_BINARY_DIR}/node.conf DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/vigil/examples COMPONENT node)

# What each is made of, as far as dpkg knows.
find_program(DPKG_QUERY dpkg-query)
if(DPKG_QUERY)
  set(parts_vigil vigild vigil vigil-org)
  set(parts_libvigil0 vigil_client)
  foreach(name vigil libvigil0)
    set(files "")
    foreach(part ${parts_${name}})
      list(APPEND files $<TARGET_FILE:${part}>)
    endforeach()
    add_custom_command(OUTPUT ${name}.spdx.json DEPENDS ${CMAKE_SOURCE_DIR}/tools/sbom ${parts_${name}}
      COMMAND ${CMAKE_COMMAND} -E env CC=${CMAKE_C_COMPILER} SOURCE_DATE_EPOCH=${epoch}
        ${CMAKE_SOURCE_DIR}/tools/sbom ${name} ${PROJECT_VERSION} ${files} > ${name}.spdx.json VERBATIM)
    list(APPEND papers ${name}.spdx.json)
  endforeach()
  install(FILES ${CMAKE_BINARY_DIR}/vigil.spdx.json DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/vigil COMPONENT node)
  install(FILES ${CMAKE_BINARY_DIR}/libvigil0.spdx.json DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libvigil0 COMPONENT library)
endif()

add_custom_target(papers ALL DEPENDS ${papers})

# --- CPack ---

set(CPACK_VIGIL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_VIGIL_EPOCH ${epoch})
set(CPACK_PROJECT_CONFIG_FILE ${folder}/cpack.cmake)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_GENERATOR DEB)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_PACKAGE_CONTACT ${VIGIL_MAINTAINER})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
set(CPACK_COMPONENTS_ALL node library development)
set(CPACK_COMPONENTS_GROUPING IGNORE)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SOURCE vigil)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)

set(CPACK_DEBIAN_NODE_PACKAGE_NAME vigil)
set(CPACK_DEBIAN_NODE_PACKAGE_SECTION database)
set(CPACK_DEBIAN_NODE_PACKAGE_SHLIBDEPS ON)
# The scripts ask both of them; the second of each pair is for machines without systemd.
set(CPACK_DEBIAN_NODE_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles")
# Names of countries and languages; working copies without metadata.
set(CPACK_DEBIAN_NODE_PACKAGE_RECOMMENDS iso-codes)
set(CPACK_DEBIAN_NODE_PACKAGE_SUGGESTS mat2)
set(CPACK_DEBIAN_NODE_PACKAGE_CONTROL_EXTRA ${folder}/postinst ${folder}/prerm ${folder}/postrm)
set(CPACK_COMPONENT_NODE_DESCRIPTION "peer-to-peer database of cases of reprisals
Field offices document intimidation and reprisals against people who
cooperate with the United Nations on human rights. Every office holds a
whole, encrypted copy of the cases that it may hold, works without a line,
and exchanges what is new when there is one. Nothing that anybody entered
vanishes, and two edits of one field are both shown.

This package has the node, vigild, and the tools that ask it.")

set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libvigil0)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
# CPack writes scripts that call ldconfig, unless there are such scripts; Debian wants the trigger. Files that are not there are in no package.
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${folder}/triggers ${folder}/none/postinst ${folder}/none/postrm)
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION "client of a Vigil node
Vigil is a peer-to-peer database of cases of intimidation and reprisals.

This package has the library with which programs ask a node on their own
machine.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libvigil-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_COMPONENT_DEVELOPMENT_DEPENDS library)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS libjansson-dev)
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "client of a Vigil node (development files)
Vigil is a peer-to-peer database of cases of intimidation and reprisals.

This package has what it takes to build programs that ask a node on their
own machine: headers, and files for pkg-config and CMake.")

include(CPack)
