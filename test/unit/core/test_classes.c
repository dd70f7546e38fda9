/* Protects: the size classes: their exact sizes, which class every size and every alignment gets,
 * and how much is lost to rounding. */
#include "../expect.h"

#include "core/classes.h"

static const uint32_t sizes[CLASS_COUNT] = {
    16,    32,    48,    64,    80,    96,    112,   128,   160,   192,   224,    256,
    320,   384,   448,   512,   640,   768,   896,   1024,  1280,  1536,  1792,   2048,
    2560,  3072,  3584,  4096,
    4608,  5120,  5632,  6144,  6656,  7168,  7680,  8192,
    9216,  10240, 11264, 12288, 13312, 14336, 15360, 16384,
    18432, 20480, 22528, 24576, 26624, 28672, 30720, 32768,
    36864, 40960, 45056, 49152, 53248, 57344, 61440, 65536,
    73728, 81920, 90112, 98304, 106496, 114688, 122880, 131072};

Test(classes, are_exactly_these_68) {
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        EXPECT_EQ(size_classes[cls].slot_bytes, sizes[cls]);
        EXPECT_EQ(size_classes[cls].zone, sizes[cls] <= 4096 ? ZONE_TINY : ZONE_SMALL);
        EXPECT_EQ(size_classes[cls].magic, magic_of(sizes[cls]));
    }
    EXPECT_EQ(TINY_CLASSES, 28);
}

Test(classes, every_size_gets_the_smallest_class_that_holds_it) {
    for (size_t bytes = 0; bytes <= SMALL_MAX_BYTES; bytes++) {
        unsigned cls = class_of(bytes);
        EXPECT_AT(cls < CLASS_COUNT, bytes);
        EXPECT_AT(sizes[cls] >= bytes, bytes);
        EXPECT_AT(cls == 0 || sizes[cls - 1] < bytes, bytes);
    }
    EXPECT_EQ(class_of(SMALL_MAX_BYTES), CLASS_COUNT - 1);
}

Test(classes, rounding_loses_a_quarter_at_most_and_an_eighth_of_small) {
    for (size_t bytes = 1; bytes <= SMALL_MAX_BYTES; bytes++) {
        size_t lost = sizes[class_of(bytes)] - bytes;
        EXPECT_AT(bytes <= 64 ? lost < 16 : (bytes <= 4096 ? 4 : 8) * lost <= bytes, bytes);
    }
}

/* All classes, smallest first, for one that holds the size and whose slots are all aligned. */
static unsigned naive_class_of_aligned(size_t bytes, size_t alignment) {
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        if (sizes[cls] >= bytes && sizes[cls] % alignment == 0)
            return cls;
    return CLASS_COUNT;
}

Test(classes, aligned_sizes_get_the_smallest_class_of_aligned_slots) {
    for (size_t alignment = 1; alignment <= (size_t)1 << 30; alignment *= 2) {
        size_t step = alignment < 64 ? 1 : 7;
        for (size_t bytes = 0; bytes <= SMALL_MAX_BYTES + 16; bytes += step)
            EXPECT_AT(class_of_aligned(bytes, alignment) ==
                          naive_class_of_aligned(bytes, alignment),
                      bytes);
        for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
            for (size_t bytes = sizes[cls] - 1; bytes <= sizes[cls] + 1; bytes++)
                EXPECT_AT(class_of_aligned(bytes, alignment) ==
                              naive_class_of_aligned(bytes, alignment),
                          bytes);
    }
    EXPECT_EQ(class_of_aligned(SIZE_MAX, 16), CLASS_COUNT);
    EXPECT_EQ(class_of_aligned(1, (size_t)1 << 63), CLASS_COUNT);
}

/* A colour moves slot 0: it must keep every slot aligned, and leave most of the slab to slots. */
Test(classes, colours_keep_the_natural_alignment_and_cost_little) {
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        const struct size_class *c = &size_classes[cls];
        EXPECT_AT(c->colours >= 1, cls);
        EXPECT_EQ(c->colour_step % lowest_power(c->slot_bytes), 0);
        size_t last_start = (size_t)(c->colours - 1) * c->colour_step;
        EXPECT_AT(last_start < COLOURS * COLOUR_BYTES, cls);
        size_t slab_bytes = (size_t)1 << slab_shift_of((enum zone_kind)c->zone);
        unsigned slots = class_slots(cls, last_start);
        EXPECT_AT(slots >= 7, cls);
        EXPECT_AT(last_start + (size_t)slots * c->slot_bytes <= slab_bytes, cls);
        EXPECT_AT(last_start + (size_t)(slots + 1) * c->slot_bytes > slab_bytes ||
                      slots == SLAB_SLOTS_MAX,
                  cls);
        EXPECT_EQ(class_slots(cls, 0), cls == 0 ? SLAB_SLOTS_MAX : slab_bytes / c->slot_bytes);
        EXPECT_AT(class_slots(cls, 0) <= SLAB_SLOTS_MAX, cls);
    }
}

/* A malloc that reads the ends of the hot paths while they are opened may take the coarse one. */
Test(classes, a_fine_size_has_a_coarse_slot_too) {
    for (size_t bytes = 0; bytes <= FINE_MAX_BYTES; bytes++) {
        unsigned cls = coarse_class_of_step[coarse_step(bytes)];
        EXPECT_AT(cls >= FINE_CLASSES && cls < TINY_CLASSES, bytes);
        EXPECT_AT(size_classes[cls].slot_bytes >= bytes, bytes);
    }
}
