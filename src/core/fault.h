/* Purpose: what can be wrong with a pointer that a program gives back. Lower layers find it and
 *          return it; only the API layer has it told (report/diagnosis.h).
 * Owns:    nothing. */
#ifndef SLM_CORE_FAULT_H
#define SLM_CORE_FAULT_H

enum fault {
    FAULT_NONE = 0,
    FAULT_DOUBLE_FREE, /* a slot or block start, not live: freed before, or never handed out */
    FAULT_INTERIOR,    /* inside a slot or block, not at its start */
    FAULT_PADDING,     /* inside a slab, but in none of its slots */
    FAULT_EMPTY_SLAB,  /* inside the reserved range, where no slab has ever been */
    FAULT_FOREIGN,     /* never ours, or a mapping that has gone back to the system */
    FAULT_LATE_DOUBLE, /* two threads raced to free one slot; found when the frees were merged */

    /* Found by check/, of blocks that the call at hand may have nothing to do with: */
    FAULT_OVERFLOW,         /* written behind the size asked for */
    FAULT_WRITE_AFTER_FREE, /* written to after it was freed */
    FAULT_MISMATCH,         /* given back by a function of another family than it was made by */
    FAULT_WRONG_SIZE,       /* given back with another size than was asked for */
    FAULT_WRONG_ALIGNMENT,  /* the same of its alignment, or of whether there was one */
};

#endif
