#ifndef LIBSHM_FAULT_H
#define LIBSHM_FAULT_H

/* Saying what went wrong, in the one line a caller can print. The result is passed through, so that a check that fails
 * and its explanation are one statement. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "libshm/region.h"

__attribute__((format(printf, 3, 4))) static inline int fault_set(struct gws_fault *fault, int result,
                                                                  const char *format, ...)
{
    va_list args;

    if (fault != NULL) {
        va_start(args, format);
        vsnprintf(fault->text, sizeof(fault->text), format, args);
        va_end(args);
    }
    return result;
}

#endif
