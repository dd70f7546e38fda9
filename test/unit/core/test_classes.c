/* Protects: the size classes' tables, and the magic division that tells slots from interiors. */
#include <criterion/criterion.h>

#include "core/classes.h"

Test(classes, every_size_gets_the_smallest_class_that_holds_it) {
    for (size_t bytes = 0; bytes <= SMALL_MAX_BYTES; bytes++) {
        unsigned cls = class_of(bytes);
        cr_assert_lt(cls, CLASS_COUNT);
        cr_assert_geq(size_classes[cls].slot_bytes, bytes);
        if (cls > 0)
            cr_assert_lt(size_classes[cls - 1].slot_bytes, bytes);
    }
}
