/* Purpose: the tables of classes.h, all computed by the compiler. */
#include "core/classes.h"

#define NATURAL(bytes) ((bytes) & (~(size_t)(bytes) + 1))
#define STEP(bytes) (NATURAL(bytes) > COLOUR_BYTES ? NATURAL(bytes) : COLOUR_BYTES)

/* As many colours as fit below COLOURS * COLOUR_BYTES, at least one. */
#define COLOURS_OF(step) ((step) > COLOURS * COLOUR_BYTES ? 1 : COLOURS * COLOUR_BYTES / (step))
#define TINY(bytes) {MAGIC_OF(bytes), (bytes), STEP(bytes), COLOURS_OF(STEP(bytes)), ZONE_TINY}
#define SMALL(bytes) {MAGIC_OF(bytes), (bytes), NATURAL(bytes), 1, ZONE_SMALL}
#define SMALL_DOUBLING(unit)                                                                      \
    SMALL(9 * (unit)), SMALL(10 * (unit)), SMALL(11 * (unit)), SMALL(12 * (unit)),                \
        SMALL(13 * (unit)), SMALL(14 * (unit)), SMALL(15 * (unit)), SMALL(16 * (unit))

const struct size_class size_classes[CLASS_COUNT] = {
    TINY(16),    TINY(32),    TINY(48),    TINY(64),    TINY(80),
    TINY(96),    TINY(112),   TINY(128),   TINY(160),   TINY(192),
    TINY(224),   TINY(256),   TINY(320),   TINY(384),   TINY(448),
    TINY(512),   TINY(640),   TINY(768),   TINY(896),   TINY(1024),
    TINY(1280),  TINY(1536),  TINY(1792),  TINY(2048),
    TINY(2560),  TINY(3072),  TINY(3584),  TINY(4096),
    SMALL_DOUBLING(512),  SMALL_DOUBLING(1024), SMALL_DOUBLING(2048), SMALL_DOUBLING(4096),
    SMALL_DOUBLING(8192),
};

/* `parts` classes per doubling: with 2^k < n <= 2^(k+1), counted in units of 2^k / parts. LOG2
 * takes the least power that it is asked for along, so that arms not taken are well defined too. */
#define PART(n, k, parts) (((n) + ((1 << (k)) / (parts)) - 1) / ((1 << (k)) / (parts)) - (parts)-1)
#define LOG2(n, least) (63 - __builtin_clzll((unsigned long long)(n) | (least)))
#define ABOVE(s, k) LOG2((s) > (1 << (k)) ? (s)-1 : 1 << (k), 1 << (k))
#define FINE_CLASS(s)                                                                             \
    ((s) <= 1   ? 0                                                                               \
     : (s) <= 8 ? (s)-1                                                                           \
                : 8 + 4 * (ABOVE(s, 3) - 3) + PART(s, ABOVE(s, 3), 4))
#define COARSE_CLASS(s)                                                                           \
    ((s) <= 4    ? FINE_CLASSES                                                                   \
     : (s) <= 16 ? FINE_CLASSES + 4 * (ABOVE(s, 2) - 2) + PART(s, ABOVE(s, 2), 4)                 \
                 : TINY_CLASSES + 8 * (ABOVE(s, 4) - 4) + PART(s, ABOVE(s, 4), 8))

#define T1(s) FINE_CLASS(s)
#define T4(s) T1(s), T1((s) + 1), T1((s) + 2), T1((s) + 3)
#define T16(s) T4(s), T4((s) + 4), T4((s) + 8), T4((s) + 12)
#define S1(s) COARSE_CLASS(s)
#define S4(s) S1(s), S1((s) + 1), S1((s) + 2), S1((s) + 3)
#define S16(s) S4(s), S4((s) + 4), S4((s) + 8), S4((s) + 12)
#define S64(s) S16(s), S16((s) + 16), S16((s) + 32), S16((s) + 48)

const uint8_t fine_class_of_step[FINE_STEPS] = {T16(0), T16(16), T16(32), T16(48), T1(64)};

const uint8_t coarse_class_of_step[COARSE_STEPS] = {
    S64(0), S64(64), S64(128), S64(192), S64(256), S64(320), S64(384), S64(448), S1(512)};

unsigned class_of_aligned(size_t bytes, size_t alignment) {
    return bytes > SMALL_MAX_BYTES || alignment > SMALL_MAX_BYTES
               ? CLASS_COUNT
               : class_of(bytes_for_aligned(bytes, alignment));
}
