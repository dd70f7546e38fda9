/* Purpose: kept.h. */
#include "report/kept.h"

#include "check/check.h"

bool kept_any(void) {
    return load_relaxed(&check_active) != 0 && check_policy.quarantine_bytes > 0;
}

/* What is on its way into the quarantine or out of it is kept back, too. */
bool kept_has(uintptr_t start) {
    return kept_any() && check_facts_of(start).state == CHECK_FREED;
}

size_t kept_take(struct slab_view *view, struct slab_view *kept) {
    *kept = *view;
    kept->live = 0;
    for (size_t word = 0; word * 64 < view->slots; word++)
        kept->live_bits[word] = 0;
    for (size_t slot = 0; kept_any() && slot < view->slots; slot++) {
        uint64_t bit = (uint64_t)1 << (slot % 64);
        if (!slab_view_lives(view, slot) || !kept_has(view->base + slot * view->slot_bytes))
            continue;
        view->live_bits[slot / 64] &= ~bit;
        kept->live_bits[slot / 64] |= bit;
        kept->live++;
    }
    view->live -= kept->live;
    return kept->live;
}
