# What every target of ours is compiled with: language level, warnings, sanitizers, hardening.
# Targets opt in with tug_target_options(), those of tests with tug_test_options(); nothing is set globally.
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
# libtug.a is made of the layers' objects: it shall link without this very compiler's LTO too.
if(TUG_LTO AND TUG_INSTALL_LIBRARY AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  set(TUG_FAT_OBJECTS ON)
endif()
include(GNUInstallDirs)
find_program(TUG_CCACHE ccache)
if(TUG_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${TUG_CCACHE})
endif()

# In the static build, for code that waits for the network most of its time: 0.8 MB less of 10.9. Layers are put together and compressed
# in `stream`, which stays fast; hashing is OpenSSL's.
function(tug_prefer_small target)
  if(TUG_STATIC)
    target_compile_options(${target} PRIVATE $<IF:$<CXX_COMPILER_ID:GNU>,-Oz,-Os>)
  endif()
endfunction()

# What the product and its tests have in common.
function(tug_common_options target)
  target_compile_features(${target} PRIVATE cxx_std_20)
  set_target_properties(${target} PROPERTIES
    CXX_EXTENSIONS OFF
    POSITION_INDEPENDENT_CODE ON)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
    -Woverloaded-virtual -Wnull-dereference -Wextra-semi -Wcast-align
    $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond;-Wlogical-op>
    $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>
    $<$<BOOL:${TUG_WERROR}>:-Werror>)
  # g++ 12 reports these from inside std::string and std::optional at -O2 (GCC bugs 105329, 105562).
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    target_compile_options(${target} PRIVATE $<$<CONFIG:RelWithDebInfo,Release>:-Wno-null-dereference;-Wno-restrict;-Wno-maybe-uninitialized>)
  endif()
  if(TUG_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${TUG_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=${TUG_SANITIZE})
  endif()
  # Without it the fuzzers see the coverage of their own ten lines only.
  if(TUG_FUZZ)
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
  target_compile_definitions(${target} PRIVATE $<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>)
endfunction()

# The code of a test is not optimised: that would be half of the time that a build from nothing takes. Nor is the layers' code that it
# links put together again for it, where their objects have both forms.
function(tug_test_options target)
  tug_common_options(${target})
  target_compile_options(${target} PRIVATE -O0)
  if(TUG_FAT_OBJECTS)
    target_link_options(${target} PRIVATE -fno-lto)
  elseif(TUG_LTO)
    set_target_properties(${target} PROPERTIES INTERPROCEDURAL_OPTIMIZATION ON)
  endif()
endfunction()

function(tug_target_options target)
  tug_common_options(${target})
  if(TUG_HARDEN)
    target_compile_options(${target} PRIVATE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fcf-protection)
    target_link_options(${target} PRIVATE $<$<NOT:$<BOOL:${TUG_STATIC}>>:-pie> -Wl,-z,relro -Wl,-z,now)
  endif()
  get_target_property(type ${target} TYPE)
  if(TUG_STATIC AND type STREQUAL EXECUTABLE)
    # Packed relocations save 0.6 MB of 11.2, collecting unused sections as much. The linker warns of functions of glibc that load
    # shared libraries: here that is an error (third_party/static_libc.cc).
    target_link_options(${target} PRIVATE -static-pie -Wl,-z,pack-relative-relocs -Wl,--gc-sections -Wl,--fatal-warnings)
    target_link_libraries(${target} PRIVATE tug::static_libc)
  endif()
  if(TUG_LTO)
    set_target_properties(${target} PROPERTIES INTERPROCEDURAL_OPTIMIZATION ON)
  endif()
endfunction()
