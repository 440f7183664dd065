#ifndef GATEWAYD_SPLICE_EDIT_H
#define GATEWAYD_SPLICE_EDIT_H

/* An event for a client that has parts of it already and knows the answer by other ids. */

#include "gatewayd/splice.h"

/* Append the event that was taken apart and compared, without what the client has. 0; -ENOMEM, `out` is as it was. */
int splice_edit(struct splice *splice, struct str event, struct buf *out);

#endif
