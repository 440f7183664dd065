/* The outcomes are numbers to the region; the names are those of the access log. */

#include "tools/gatewayctl/breaker_evidence.h"

#include <inttypes.h>
#include <stdio.h>

#include "gatewayd/classify.h"
#include "gatewayd/overview.h"
#include "gatewayd/show.h"
#include "gatewayd/times.h"
#include "libshm/evidence.h"

static bool read_evidence(const struct history_view *view, uint32_t row, struct gws_evidence *evidence)
{
    if (!gws_evidence_read(view->region, row, evidence))
        return false;
    show_clean(evidence->text);
    return true;
}

/* The number of an outcome is its class's and 1; NULL past the last one. */
static const char *outcome_at(const struct gws_evidence *evidence, unsigned i)
{
    if (i >= GWS_EVIDENCE_OUTCOMES || evidence->outcomes[i] == 0 || evidence->outcomes[i] > CLASS_ABORT + 1)
        return NULL;
    return classify_name((enum outcome_class)(evidence->outcomes[i] - 1));
}

json_t *breaker_evidence_json(const struct history_view *view, uint32_t row, uint64_t now)
{
    struct gws_evidence evidence;
    if (!read_evidence(view, row, &evidence))
        return json_null();
    json_t *outcomes = show_must(json_array());
    for (unsigned i = 0; outcome_at(&evidence, i); i++)
        json_array_append_new(outcomes, json_string(outcome_at(&evidence, i)));
    json_t *status = evidence.status ? json_integer(evidence.status) : json_null();
    json_t *message = evidence.text[0] ? json_string(evidence.text) : json_null();
    return show_must(json_pack("{s:s, s:I, s:I, s:I, s:o, s:o, s:o}", "time",
                              times_iso(view->real_base + evidence.at).text, "ago_ms",
                              (json_int_t)overview_since(evidence.at, now), "worker", (json_int_t)evidence.slot, "pid",
                              (json_int_t)evidence.pid, "outcomes", outcomes, "status", status, "message", message));
}

void breaker_evidence_print(const struct history_view *view, uint32_t row, uint64_t now)
{
    struct gws_evidence evidence;
    if (!read_evidence(view, row, &evidence))
        return;
    printf("  last bad    %s (%s), seen by worker %" PRId32 " (pid %" PRId32 ")\n",
           times_iso(view->real_base + evidence.at).text, times_ago(overview_since(evidence.at, now)).text,
           evidence.slot, evidence.pid);
    printf("  outcomes   ");
    for (unsigned i = 0; outcome_at(&evidence, i); i++)
        printf("%s %s", i ? "," : "", outcome_at(&evidence, i));
    puts(", the last one first");
    if (evidence.status)
        printf("  upstream    answered %u%s%s\n", evidence.status, evidence.text[0] ? ": " : "", evidence.text);
    else if (evidence.text[0])
        printf("  upstream    %s\n", evidence.text);
}
