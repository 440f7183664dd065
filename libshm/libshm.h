#ifndef LIBSHM_LIBSHM_H
#define LIBSHM_LIBSHM_H

/*
 * libshm for programs outside the gateway: everything that a process may call that attaches to a running gateway's
 * region, looks at its state, or takes part in its decisions. See libshm(3). The gateway's own code includes the
 * headers it needs.
 *
 *   struct gws_region region;
 *   struct gws_fault fault;
 *   if (gws_region_open(&region, "/run/gatewayd/state", GWS_CHANGE, uid, &fault) != GWS_OPEN_DONE) …
 *   gws_slot_guest(&region, "/run/gatewayd/state", gws_clock_ms(&region));
 *
 * A program and the gateway must have been built from the same layout; gws_region_open() says when they were not.
 */

#ifdef __cplusplus
#error "libshm has no C++ interface: its words are C11 atomics"
#endif

#include "libshm/adapt.h"
#include "libshm/breaker.h"
#include "libshm/budget.h"
#include "libshm/check.h"
#include "libshm/clock.h"
#include "libshm/cooldown.h"
#include "libshm/count.h"
#include "libshm/estimate.h"
#include "libshm/event.h"
#include "libshm/evidence.h"
#include "libshm/export.h"
#include "libshm/gate.h"
#include "libshm/latency.h"
#include "libshm/limit.h"
#include "libshm/measure.h"
#include "libshm/name.h"
#include "libshm/order.h"
#include "libshm/quota.h"
#include "libshm/region.h"
#include "libshm/series.h"
#include "libshm/slot.h"
#include "libshm/stat.h"
#include "libshm/ticket.h"
#include "libshm/waiter.h"
#include "libshm/window.h"

#endif
