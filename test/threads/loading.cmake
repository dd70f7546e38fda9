# Programs that get the library by dlopen, by LD_PRELOAD or statically.

function(threads_plain name)
  add_executable(threads_${name} ${ARGN})
  target_compile_options(threads_${name} PRIVATE -Wall -Wextra -fno-builtin -O1
    $<$<BOOL:${SLABMALLOC_WERROR}>:-Werror>)
  target_compile_definitions(threads_${name} PRIVATE _GNU_SOURCE SLOWNESS=${slowness})
  target_link_libraries(threads_${name} PRIVATE Threads::Threads ${CMAKE_DL_LIBS})
endfunction()

function(threads_library name source)
  add_library(threads_${name} MODULE ${source})
  target_compile_options(threads_${name} PRIVATE -Wall -Wextra -fno-builtin -O1
    $<$<BOOL:${SLABMALLOC_WERROR}>:-Werror>)
  target_compile_definitions(threads_${name} PRIVATE _GNU_SOURCE)
endfunction()

# A test of a program that is not linked with the library:
# NAME SECONDS "VARIABLE=value..." command...
function(threads_command name seconds environment)
  add_test(NAME threads_${name} COMMAND ${ARGN})
  set_tests_properties(threads_${name} PROPERTIES TIMEOUT ${seconds}
    ENVIRONMENT "${environment}")
endfunction()

set(preload "LD_PRELOAD=$<TARGET_FILE:slabmalloc>")

# The rank check of debug builds has thread-local variables of its own, too large for this.
if(NOT SLABMALLOC_DEBUG)
  set(ie_libraries)
  foreach(number RANGE 1 10)
    threads_library(ie_tls_${number} ie_tls.c)
    list(APPEND ie_libraries $<TARGET_FILE:threads_ie_tls_${number}>)
  endforeach()
  threads_plain(late_load late_load.c)
  threads_command(late_load 30 "" threads_late_load $<TARGET_FILE:slabmalloc> ${ie_libraries})

  # The static library in plugins that export what is in it, or hide it.
  foreach(kind open private)
    threads_library(plugin_${kind} plugin.c)
    target_link_libraries(threads_plugin_${kind} PRIVATE slabmalloc_static Threads::Threads)
    target_link_options(threads_plugin_${kind} PRIVATE LINKER:-z,nodelete)
    set(${kind} $<TARGET_FILE:threads_plugin_${kind}>)
  endforeach()
  target_link_options(threads_plugin_private PRIVATE LINKER:--exclude-libs,libslabmalloc.a)
  threads_plain(plugin_host plugin_host.c)
  # The standard names of an open plugin lead to the process's malloc, all names to a preloaded
  # library.
  threads_command(plugin_open 60 "" threads_plugin_host 0 ${open} ${ie_libraries})
  threads_command(plugin_open_last 60 "" threads_plugin_host 0 ${ie_libraries} ${open})
  threads_command(plugin_private 60 "" threads_plugin_host 1 ${private} ${ie_libraries})
  threads_command(plugin_private_last 60 "" threads_plugin_host 1 ${ie_libraries} ${private})
  threads_command(plugin_both 60 "" threads_plugin_host 01 ${open} $<TARGET_FILE:slabmalloc>
    ${private})
  threads_command(plugin_both_last 60 "" threads_plugin_host 10 $<TARGET_FILE:slabmalloc>
    ${private} ${open})
  threads_command(plugin_preload 60 "${preload}" threads_plugin_host 11 ${open} ${private}
    ${ie_libraries})
  threads_command(plugin_preload_last 60 "${preload}" threads_plugin_host 11 ${ie_libraries}
    ${private} ${open})

  find_program(READELF readelf REQUIRED)
  add_test(NAME threads_tls_shape
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tls_shape.sh $<TARGET_FILE:slabmalloc> 64)
endif()

threads_library(tls_array tls_array.c)
threads_program(dlopen_churn dlopen_churn.c)
threads_test(dlopen_churn dlopen_churn 60 $<TARGET_FILE:threads_tls_array>)
# With each block sampled, its stack unwound (field case H1).
threads_test(dlopen_churn_sampled dlopen_churn 120 $<TARGET_FILE:threads_tls_array>)
set_tests_properties(threads_dlopen_churn_sampled PROPERTIES ENVIRONMENT SLABMALLOC_SAMPLE=1)

foreach(in_resolver 0 1)
  set(name early_calls)
  if(in_resolver)
    set(name early_resolver)
  endif()
  threads_plain(${name} early_calls.c)
  target_compile_definitions(threads_${name} PRIVATE CALL_IN_RESOLVER=${in_resolver})
  target_link_options(threads_${name} PRIVATE LINKER:-z,now)
endforeach()
threads_library(early_wrappers early_wrappers.c)
target_compile_definitions(threads_early_wrappers PRIVATE WRAP_KEY_CREATE=0)
threads_library(early_key_wrapper early_wrappers.c)
target_compile_definitions(threads_early_key_wrapper PRIVATE WRAP_KEY_CREATE=1)
threads_library(auditor auditor.c)
threads_command(early_calls 30 "${preload}" threads_early_calls)
threads_command(early_resolver 30 "${preload}" threads_early_resolver)
threads_command(early_calls_options 30 "${preload};SLABMALLOC_OPTIONS=stats=none"
  threads_early_calls)
threads_command(early_calls_wrappers 30
  "LD_PRELOAD=$<TARGET_FILE:threads_early_wrappers>:$<TARGET_FILE:slabmalloc>" threads_early_calls)
threads_command(early_calls_key_wrapper 30
  "LD_PRELOAD=$<TARGET_FILE:threads_early_key_wrapper>:$<TARGET_FILE:slabmalloc>"
  threads_early_calls)
threads_command(early_calls_wrappers_last 30
  "LD_PRELOAD=$<TARGET_FILE:slabmalloc>:$<TARGET_FILE:threads_early_wrappers>" threads_early_calls)
if(NOT SLABMALLOC_DEBUG) # as above
  threads_command(early_calls_audited 30 "${preload};LD_AUDIT=$<TARGET_FILE:threads_auditor>"
    threads_early_calls)
endif()

foreach(kind static static-pie)
  foreach(source static_c.c static_cc.cc)
    string(REGEX REPLACE "[.].*" "" name ${source})
    string(REPLACE static_ "${kind}_" name ${name})
    threads_plain(${name} ${source})
    target_link_libraries(threads_${name} PRIVATE slabmalloc_static)
    target_link_options(threads_${name} PRIVATE -${kind})
    if(kind STREQUAL static-pie)
      target_compile_options(threads_${name} PRIVATE -fPIE)
    else()
      target_compile_options(threads_${name} PRIVATE -fno-pie)
    endif()
    threads_command(${name} 60 "" threads_${name})
    threads_command(${name}_options 60 "SLABMALLOC_OPTIONS=stats=exit" threads_${name})
    set_tests_properties(threads_${name}_options PROPERTIES
      PASS_REGULAR_EXPRESSION "the heap of threads_${name} ")
  endforeach()
endforeach()
