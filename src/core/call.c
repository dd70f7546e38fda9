/* Purpose: call.h. */
#include "core/call.h"

const struct call_facts call_facts[CALL_COUNT] = {
#define X(call, name, family, gives_back) {name, family, gives_back},
    SLM_CALLS(X)
#undef X
};
