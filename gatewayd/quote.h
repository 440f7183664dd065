#ifndef GATEWAYD_QUOTE_H
#define GATEWAYD_QUOTE_H

/* What an upstream said of a failure, fit to be shown to whoever asks: a pure function of the body it sent. */

#include "gatewayd/str.h"

/*
 * The text of `error.message`, unescaped, into `out`: cut to `size` bytes between two characters, with blanks for
 * control characters. Returns the length; 0 when there is none, or when it repeats the credential, as some providers do
 * who refuse one. `credential` may be empty.
 */
size_t quote_error(struct str body, struct str credential, char *out, size_t size);

#endif
