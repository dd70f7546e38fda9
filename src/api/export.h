/* Purpose: how a function gets its names.
 * Owns:    nothing.
 *
 * Every function is defined once, under the public prefix. EXPORT_AS gives it a further name that
 * programs and libc know; in a build without the override, that is nothing. */
#ifndef SLM_API_EXPORT_H
#define SLM_API_EXPORT_H

#include "base/attr.h"

#ifndef SLM_OVERRIDE
#define SLM_OVERRIDE 1
#endif

#if SLM_OVERRIDE
#define EXPORT_AS(name, target) extern __typeof__(target) name SLM_ALIAS(target)
#else
#define EXPORT_AS(name, target) extern __typeof__(target) name
#endif

#endif
