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
  target_include_directories(tug-${name} PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(tug-${name} PRIVATE ${arg_LINK} Threads::Threads)
  set_property(GLOBAL APPEND PROPERTY TUG_LINK_${name} ${arg_LINK})
endfunction()

# Links `target` with the objects of the layers up to and including `layer`, and the libraries they need.
function(tug_link_layers target visibility layer)
  foreach(l IN LISTS TUG_LAYERS)
    if(TARGET tug-${l})
      target_sources(${target} ${visibility} $<TARGET_OBJECTS:tug-${l}>)
      get_property(libs GLOBAL PROPERTY TUG_LINK_${l})
      target_link_libraries(${target} ${visibility} ${libs} Threads::Threads)
    endif()
    if(l STREQUAL layer)
      break()
    endif()
  endforeach()
endfunction()
