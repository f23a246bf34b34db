# cpack.cmake - read by each run of CPack.

if(NOT CPACK_VIGIL_PREFIX STREQUAL "/usr")
  message(FATAL_ERROR "This build is for ${CPACK_VIGIL_PREFIX}: a package takes cmake -DCMAKE_INSTALL_PREFIX=/usr, as tools/package does")
endif()
# Every time in a package is that of its version, or that somebody asked for.
if(NOT DEFINED ENV{SOURCE_DATE_EPOCH})
  set(ENV{SOURCE_DATE_EPOCH} ${CPACK_VIGIL_EPOCH})
endif()
