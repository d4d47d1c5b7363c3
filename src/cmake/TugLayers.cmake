# The layers, lowest first: a layer includes and links only itself and what stands before it
# (design 4). Each is an object library `tug-<layer>`; a layer's unit tests link the objects of that
# layer and below, so that an upward dependency is a link error as well as a failure of the layering test.
set(TUG_LAYERS base oci stream http registry transport copy step)

# tug_layer(NAME SOURCES a.cc ... LINK tug::dep ...)
function(tug_layer name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  if(NOT arg_SOURCES)
    return()
  endif()
  add_library(tug-${name} OBJECT ${arg_SOURCES})
  tug_target_options(tug-${name})
  if(NOT name STREQUAL stream)
    tug_prefer_small(tug-${name})
  endif()
  target_include_directories(tug-${name} PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(tug-${name} PRIVATE ${arg_LINK} Threads::Threads)
  if(TUG_LTO AND TUG_INSTALL_LIBRARY)
    # libtug.a is made of these objects: it shall link without this very compiler's LTO too.
    target_compile_options(tug-${name} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-ffat-lto-objects>)
  endif()
  set_property(GLOBAL APPEND PROPERTY TUG_LINK_${name} ${arg_LINK})
endfunction()

# Links `target` with the objects of the layers up to and including `layer`, and the libraries they need.
function(tug_link_layers target visibility layer)
  foreach(l IN LISTS TUG_LAYERS)
    if(TARGET tug-${l})
      target_sources(${target} ${visibility} $<TARGET_OBJECTS:tug-${l}>)
      get_property(libs GLOBAL PROPERTY TUG_LINK_${l})
      # Users of the installed library find these by themselves (tugConfig.cmake.in).
      foreach(lib IN LISTS libs ITEMS Threads::Threads)
        target_link_libraries(${target} ${visibility} $<BUILD_INTERFACE:${lib}>)
      endforeach()
    endif()
    if(l STREQUAL layer)
      break()
    endif()
  endforeach()
endfunction()
