/* Purpose: scenes for the tests of unwinding: functions of all shapes, which call one another and
 *          then something that looks at the stack. The same source, compiled in several ways. */
#ifndef SLM_TEST_UNWIND_HELPERS_H
#define SLM_TEST_UNWIND_HELPERS_H

typedef void unwind_then(void *data);

/* `depth` calls deep, at least, then calls `then`. */
typedef void unwind_scene(unsigned depth, unwind_then *then, void *data);

struct unwind_scenes {
    const char *how; /* it is compiled */
    struct {
        const char *name;
        unwind_scene *run;
    } scenes[16]; /* ends with NULL */
};

extern const struct unwind_scenes unwind_scenes_fast, unwind_scenes_plain, unwind_scenes_framed,
    unwind_scenes_realigned, unwind_scenes_loaded;

#endif
