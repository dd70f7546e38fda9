/* Purpose: every option and every preset, once. Enum, values, parser, help, docs/options.md and the
 *          manual page come from here (the last two by tools/options).
 * Owns:    nothing. */
#ifndef SLM_CORE_OPTIONS_TABLE_H
#define SLM_CORE_OPTIONS_TABLE_H

#include "core/option_value.h"
#include "core/params.h"

/* X(name, row, purpose): what the values begin with. A row is read as SLABMALLOC_OPTIONS is; what
 * it does not name has its default. */
#define SLM_PRESETS(X)                                                                             \
    X(default, "", "what suits most programs")                                                     \
    X(speed, "purge_delay=10000,keep_free=all,large_cache=1G",                                     \
      "fewer system calls and page faults: free memory is kept for longer, and more of it")        \
    X(memory, "purge_delay=0,keep_free=0,large_cache=0,background=lazy",                           \
      "the least memory: what is free goes back to the system at once")                            \
    X(hardened,                                                                                    \
      "canary=on,zero_on_free=on,quarantine=1M,check_kinds=on,random=on,guard=on",                 \
      "errors that somebody might exploit: most end the process, the others hit at random")        \
    X(debug,                                                                                       \
      "canary=on,junk=on,quarantine=16M,check_kinds=on,history=on,guard=on,leaks=exit,"            \
      "explain_faults=on",                                                                         \
      "finding errors in a program: all checks, who allocated and freed what, leaks at exit")

/* X(name, default, OPTION_LIVE or OPTION_FIXED, range, help). A line of help is at most 280 letters
 * long. Words of a list are named by an enum in options.h, in the same order. */
#define SLM_OPTIONS(X)                                                                             \
    X(preset, PRESET_default, OPTION_FIXED, OPTION_WORDS(SLM_PRESET_WORDS),                        \
      "the values to begin with; single values override it, wherever they stand")                  \
    X(on_error, ON_ERROR_ABORT, OPTION_LIVE, OPTION_WORDS("abort|report|ignore"),                  \
      "what a bad free or a like fault does: it is told and ends the process, is told, or is "     \
      "only counted")                                                                              \
    X(stats, STATS_NONE, OPTION_LIVE, OPTION_WORDS("none|exit"),                                   \
      "print what the heap did to standard error when the process exits")                          \
    X(stats_signal, 0, OPTION_FIXED, OPTION_SIGNAL,                                                \
      "print the same whenever this signal arrives, unless the program handles it itself")         \
    X(stats_interval, 0, OPTION_LIVE, OPTION_COUNT_OF(0, 86400, NULL),                             \
      "print the same every so many seconds, while the program allocates and frees; 0: never")     \
    X(purge_delay, PURGE_DELAY_MS, OPTION_LIVE, OPTION_MILLISECONDS(0, 86400000, "never"),         \
      "how long the memory of empty slabs and of freed blocks above 128 KiB is kept for reuse "    \
      "before it goes back to the system; 0: it goes back at once")                                \
    X(keep_free, KEEP_FREE_BYTES, OPTION_LIVE, OPTION_BYTES(0, (uint64_t)1 << 46, "all"),          \
      "how much free memory stays, however young, of slabs up to 4 KiB, of those up to 128 KiB "   \
      "and of blocks above, if less than four times as much is live: once there has been 16 "      \
      "times as much, more goes back at once, until the program needs it again within "            \
      "purge_delay")                                                                               \
    X(large_cache, LARGE_CACHE_MIN_BYTES, OPTION_LIVE,                                             \
      OPTION_BYTES(0, (uint64_t)1 << 46, NULL),                                                    \
      "how much of freed blocks above 128 KiB is kept for reuse, even if less than that is live; " \
      "0: none")                                                                                   \
    X(background, BACKGROUND_OFF,  OPTION_LIVE, OPTION_WORDS("off|lazy|on"),                       \
      "a thread of the library's own that gives free memory back while nobody calls it; lazy: "    \
      "in a process that has threads and a heap of 32 MiB or more")                                \
    X(huge_pages, 0, OPTION_LIVE, OPTION_BOOLEAN,                                                  \
      "ask the system for huge pages where the heap is large and dense: fewer page faults, but "   \
      "less memory goes back; off: slabs take none, even where the system gives them to all")      \
    X(heap_limit, 0, OPTION_LIVE, OPTION_BYTES(0, (uint64_t)1 << 46, "cgroup"),                    \
      "the most that the heap may hold: above it, an allocation fails with ENOMEM when nothing "   \
      "is free to give back; 0: no limit; cgroup: 15/16 of the control group's memory")            \
    X(heap_soft_limit, 0, OPTION_LIVE, OPTION_BYTES(0, (uint64_t)1 << 46, "cgroup"),               \
      "above it, what is free goes back at once and a handler is told (slm_set_limit_handler); "   \
      "0: no limit; cgroup: 12/16 of the control group's memory")                                  \
    X(sample, 0, OPTION_LIVE, OPTION_BYTES(0, (uint64_t)1 << 40, NULL),                            \
      "take a sample of allocations, one in so many bytes, with call stacks, for the heap "        \
      "profile; 0: none; 512K costs next to nothing")                                              \
    X(profile, 0, OPTION_FIXED, OPTION_PATH("stderr", option_profile_path),                        \
      "where the heap profile is written when the process exits, for pprof; %p in its name is "    \
      "the process id, %n the number of the file; sample is 512K then, unless it is set")          \
    X(profile_signal, 0, OPTION_FIXED, OPTION_SIGNAL,                                              \
      "write it whenever this signal arrives, unless the program handles it itself; to "           \
      "slabmalloc.%p.%n.heap, if profile names no other file")                                     \
    X(rebind_libc, 1, OPTION_FIXED, OPTION_BOOLEAN,                                                \
      "who takes malloc or free from libc itself gets those of here: libraries that are loaded "   \
      "with RTLD_DEEPBIND, and programs that look them up in libc.so.6; libc's table of symbols "  \
      "is changed when the first of these is loaded")                                              \
    SLM_CHECK_OPTIONS(X)

/* Those of check/ (docs/debugging.md): any of them makes every call slower. */
#define SLM_CHECK_OPTIONS(X)                                                                       \
    X(canary, 0, OPTION_FIXED, OPTION_BOOLEAN,                                                     \
      "check that no byte behind the size asked for has been written")                             \
    X(junk, 0, OPTION_FIXED, OPTION_BOOLEAN,                                                       \
      "fill blocks with junk when they are allocated and when they are freed")                     \
    X(zero_on_free, 0, OPTION_FIXED, OPTION_BOOLEAN, "fill blocks with zero when they are freed")  \
    X(quarantine, 0, OPTION_FIXED, OPTION_BYTES(0, (uint64_t)1 << 40, NULL),                       \
      "how many bytes of freed blocks are kept back from reuse, to find writes to them")           \
    X(check_kinds, 0, OPTION_FIXED, OPTION_BOOLEAN,                                                \
      "check that new is undone by delete, and the sizes told to them")                            \
    X(history, 0, OPTION_FIXED, OPTION_BOOLEAN,                                                    \
      "record who allocated and freed each block, with call stacks")                               \
    X(stacks, STACKS_FRAMES, OPTION_LIVE, OPTION_WORDS("frames|tables"),                           \
      "how call stacks are found for history, leaks and faults: by frame pointers, or by the "     \
      "tables for exceptions, which programs without frame pointers have too (x86-64)")            \
    X(leaks, LEAKS_NONE, OPTION_FIXED, OPTION_WORDS("none|exit"),                                  \
      "list the blocks that still live when the process exits")                                    \
    X(leak_check, LEAK_CHECK_LIVE, OPTION_LIVE, OPTION_WORDS("live|reachable"),                    \
      "which of them: all, or those that the program has no pointer to any more")                  \
    X(leaks_max, 100, OPTION_LIVE, OPTION_COUNT_OF(0, 1000000000, "all"),                          \
      "list so many places that they come from, those of most bytes; the others as a sum")         \
    X(leaks_exit_code, 0, OPTION_LIVE, OPTION_COUNT_OF(0, 255, NULL),                              \
      "exit with this code if there are any, unless it is 0")                                      \
    X(random, 0, OPTION_FIXED, OPTION_BOOLEAN,                                                     \
      "hand out a random free slot of a slab, not the lowest")                                     \
    X(guard, 0, OPTION_FIXED, OPTION_BOOLEAN,                                                      \
      "guard pages before and behind each block above 128 KiB, and between slabs; freed and "      \
      "empty blocks fault")                                                                        \
    X(explain_faults, 0, OPTION_FIXED, OPTION_BOOLEAN,                                             \
      "say what is where, when an access to the heap faults")                                      \
    SLM_LOG_OPTIONS(X)

/* Those of the log of events (docs/log.md). */
#define SLM_LOG_OPTIONS(X)                                                                         \
    X(log, 0, OPTION_FIXED, OPTION_PATH("stderr", option_log_path),                                \
      "where each event of the heap is logged: a binary file, which the command slabmalloc log "   \
      "shows (%p in its name is the process id), or lines on standard error")                      \
    X(log_size, (uint64_t)256 << 20, OPTION_FIXED,                                                 \
      OPTION_BYTES((uint64_t)64 << 10, (uint64_t)1 << 40, NULL),                                   \
      "how many bytes of events the log's file keeps; older ones are overwritten")                 \
    X(log_kinds, OPTION_ALL_OF(7), OPTION_LIVE,                                                    \
      OPTION_SET("allocate|free|realloc|map|unmap|purge|slab"), "which events are logged")         \
    X(log_min, 0, OPTION_LIVE, OPTION_BYTES(0, (uint64_t)1 << 46, NULL),                           \
      "of blocks smaller than this, nothing is logged")                                            \
    X(log_max, (uint64_t)1 << 46, OPTION_LIVE, OPTION_BYTES(0, (uint64_t)1 << 46, NULL),           \
      "of blocks larger than this, nothing is logged")                                             \
    X(log_thread, 0, OPTION_LIVE, OPTION_COUNT_OF(0, UINT32_MAX, NULL),                            \
      "log events of this thread only, by its number (gettid); 0: of all")

/* "default|speed|...": the places are enum preset. */
#define SLM_PRESET_WORD(name, row, purpose) "|" #name
#define SLM_PRESET_WORDS (&(SLM_PRESETS(SLM_PRESET_WORD) "")[1])

#endif
