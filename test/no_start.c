/* White-box tests set the heap up themselves, when they are ready: nothing runs before main. */
#include "api/malloc.h"

const char at_exit_anchor = 0;
