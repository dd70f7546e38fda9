# Odd ways of loading, and checking tools.

function(hostile_compiled target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -fno-builtin -O1
    $<$<BOOL:${SLABMALLOC_WERROR}>:-Werror>)
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE SLOWNESS=${slowness})
endfunction()

# Not linked with the library.
function(hostile_plain name)
  add_executable(hostile_${name} ${ARGN})
  hostile_compiled(hostile_${name})
  target_link_libraries(hostile_${name} PRIVATE Threads::Threads ${CMAKE_DL_LIBS})
endfunction()

function(hostile_plugin name source)
  add_library(hostile_${name} MODULE ${source})
  hostile_compiled(hostile_${name})
endfunction()

# The library first, so that its names are found before libc's.
function(hostile_linked_plugin name source)
  hostile_plugin(${name} ${source})
  target_compile_definitions(hostile_${name} PRIVATE USE_LIBRARY=1)
  target_link_libraries(hostile_${name} PRIVATE slabmalloc)
  target_link_options(hostile_${name} PRIVATE LINKER:--no-as-needed)
endfunction()

set(preload "LD_PRELOAD=$<TARGET_FILE:slabmalloc>")

# --- namespaces, deep binding, late loading -------------------------------------------------------

hostile_program(namespaces namespaces.c)
target_link_libraries(hostile_namespaces PRIVATE ${CMAKE_DL_LIBS})
hostile_plugin(namespace_glibc namespace_plugin.c)
hostile_linked_plugin(namespace_slabmalloc namespace_plugin.c)
foreach(heap glibc slabmalloc)
  # The rank check of debug builds has thread-local variables too large for another namespace.
  if(heap STREQUAL glibc OR NOT SLABMALLOC_DEBUG)
    foreach(way within to_us to_them)
      hostile_test(namespace_${heap}_${way} namespaces $<TARGET_FILE:hostile_namespace_${heap}>
        ${way} ${heap})
    endforeach()
  endif()
endforeach()

hostile_plain(deepbind deepbind.c)
hostile_plugin(deepbind_libc deepbind_plugin.c)
hostile_linked_plugin(deepbind_linked deepbind_plugin.c)
foreach(with libc linked)
  hostile_command(deepbind_${with} 60 "${preload}" hostile_deepbind here
    $<TARGET_FILE:hostile_deepbind_${with}>)
endforeach()
hostile_command(deepbind_linked_apart 60 "${preload};SLABMALLOC_OPTIONS=rebind_libc=off"
  hostile_deepbind linked $<TARGET_FILE:hostile_deepbind_linked>)
hostile_command(deepbind_by_name 60 "${preload}" hostile_deepbind by_name -)
hostile_command(deepbind_apart 60 "${preload};SLABMALLOC_OPTIONS=rebind_libc=off"
  hostile_deepbind apart $<TARGET_FILE:hostile_deepbind_libc>)
foreach(mode refused race)
  hostile_command(deepbind_${mode} 120 "${preload}" hostile_deepbind ${mode}
    $<TARGET_FILE:hostile_deepbind_libc>)
endforeach()
hostile_command(deepbind_space 60 "${preload}" hostile_deepbind space
  $<TARGET_FILE:hostile_deepbind_libc>)
target_link_options(hostile_deepbind_libc PRIVATE LINKER:-z,lazy)
hostile_plugin(fake_dlsym fake_dlsym.c)
hostile_command(deepbind_fake_dlsym 60
  "LD_PRELOAD=$<TARGET_FILE:hostile_fake_dlsym>:$<TARGET_FILE:slabmalloc>" hostile_deepbind here
  $<TARGET_FILE:hostile_deepbind_libc>)
if(NOT SLABMALLOC_DEBUG) # the rank check's thread-local variables are too large
  hostile_command(deepbind_late 60 "" hostile_deepbind late $<TARGET_FILE:hostile_deepbind_linked>)
  target_link_options(hostile_deepbind PRIVATE LINKER:-z,lazy)
endif()
hostile_plain(deepbind_own_list deepbind.c)
target_compile_definitions(hostile_deepbind_own_list PRIVATE OWN_LIST=1)
set_target_properties(hostile_deepbind_own_list PROPERTIES ENABLE_EXPORTS ON)
hostile_command(deepbind_own_list 120 "${preload}" hostile_deepbind_own_list race
  $<TARGET_FILE:hostile_deepbind_libc>)
foreach(hash gnu sysv)
  hostile_plain(deepbind_stubs_${hash} deepbind.c)
  target_compile_definitions(hostile_deepbind_stubs_${hash} PRIVATE HAS_STUBS=1)
  target_compile_options(hostile_deepbind_stubs_${hash} PRIVATE -fno-pie)
  target_link_options(hostile_deepbind_stubs_${hash} PRIVATE -no-pie LINKER:--hash-style=${hash})
  hostile_command(deepbind_stubs_${hash} 60 "${preload}" hostile_deepbind_stubs_${hash} by_name -)
endforeach()
hostile_plugin(deepbind_caller deepbind_caller.c)
hostile_plugin(deepbind_found deepbind_plugin.c)
set_target_properties(hostile_deepbind_caller PROPERTIES BUILD_RPATH "$ORIGIN/found")
set_target_properties(hostile_deepbind_found PROPERTIES
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/found)
hostile_command(deepbind_caller 60 "${preload}" hostile_deepbind caller
  $<TARGET_FILE:hostile_deepbind_caller> $<TARGET_FILE_NAME:hostile_deepbind_found>)

if(NOT SLABMALLOC_DEBUG) # as above
  hostile_plain(late_global late_global.c)
  hostile_command(late_global 60 "" hostile_late_global $<TARGET_FILE:slabmalloc>)
endif()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  hostile_plugin(vectors_plugin vectors_plugin.c)
  hostile_plain(vectors vectors.c)
  # By its file: a module is no target to link with.
  add_dependencies(hostile_vectors hostile_vectors_plugin)
  target_link_libraries(hostile_vectors PRIVATE $<TARGET_FILE:hostile_vectors_plugin>)
  target_link_options(hostile_vectors PRIVATE LINKER:-z,lazy)
  hostile_command(vectors 60 "${preload}" hostile_vectors)
endif()

# --- tools ----------------------------------------------------------------------------------------

set(tools ${CMAKE_CURRENT_SOURCE_DIR}/tools.sh)
hostile_program(tools_linked tools_program.c)
hostile_command(valgrind 300 "" ${tools} valgrind $<TARGET_FILE:hostile_tools_linked>)
hostile_command(valgrind_own 300 "" ${tools} valgrind_own $<TARGET_FILE:hostile_tools_linked>)

hostile_program(asan_linked tools_program.c)
hostile_plain(asan_plain tools_program.c)
foreach(target hostile_asan_linked hostile_asan_plain)
  target_compile_options(${target} PRIVATE -fsanitize=address)
  target_link_options(${target} PRIVATE -fsanitize=address)
endforeach()
hostile_command(asan_linked 120 "" ${tools} asan_linked $<TARGET_FILE:hostile_asan_linked>)
set(preloaded $<TARGET_FILE:hostile_asan_plain> $<TARGET_FILE:slabmalloc>)
if(CMAKE_C_COMPILER_ID STREQUAL GNU) # whose programs have a shared run-time library
  execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=libasan.so
    OUTPUT_VARIABLE sanitizer OUTPUT_STRIP_TRAILING_WHITESPACE)
  foreach(case shared mixed first)
    hostile_command(asan_preload_${case} 120 "" ${tools} asan_preload_${case} ${preloaded}
      ${sanitizer})
  endforeach()
else()
  hostile_command(asan_preload_static 120 "" ${tools} asan_preload_static ${preloaded})
endif()
hostile_command(other_class 60 "" ${tools} other_class $<TARGET_FILE:slabmalloc>
  ${CMAKE_C_COMPILER})

# --- the whole system -----------------------------------------------------------------------------

# Not instrumented: any program of any user would write the counts of gcov, or a sanitizer's words.
if(NOT SLABMALLOC_SANITIZE AND NOT SLABMALLOC_COVERAGE)
  hostile_command(system 120 "" ${CMAKE_CURRENT_SOURCE_DIR}/system.sh $<TARGET_FILE:slabmalloc>
    ${CMAKE_C_COMPILER})
endif()
