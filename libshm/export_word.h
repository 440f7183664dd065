#ifndef LIBSHM_EXPORT_WORD_H
#define LIBSHM_EXPORT_WORD_H

/* What the writer and the reader of an export share: the words of its lines, and the bits of those fields that no
 * module takes apart for others. */

#include <stdint.h>

#define EXPORT_MAGIC "gwshm 1"

enum { EXPORT_CUT_BITS = 36, EXPORT_TICKS_PER_MS = 16000000 };

#define EXPORT_CUT_MASK ((UINT64_C(1) << EXPORT_CUT_BITS) - 1)
#define EXPORT_SINCE_MASK ((UINT64_C(1) << 44) - 1)

static const char *const export_modes[] = {"closed", "open", "half", "forced"};
static const char *const export_stats[] = {"tries", "ok", "failed", "throttled", "refused", "aborted", "resent"};

#endif
