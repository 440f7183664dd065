/*
 * The file of all requests. Lines are written when requests end, so the file is in the order of ends; they stay in a
 * large buffer until somebody looks at /sim, since a benchmark must not pay for a write per request. The clock is the
 * monotonic one, in microseconds: several simulators on one host can be laid side by side.
 */

#include "tools/llmsim/record.h"

#include <errno.h>

#include "gatewayd/json.h"

enum { RECORD_BUFFER = 256 << 10 };

int record_open(struct sim *sim, const char *path)
{
    FILE *file = fopen(path, "ae");

    if (!file)
        return -errno;
    setvbuf(file, NULL, _IOFBF, RECORD_BUFFER);
    sim->record = file;
    return 0;
}

void record_request(struct conn *c, const char *end, int64_t now_us)
{
    const struct exchange *x = &c->x;
    struct buf *line = &c->sim->record_line;
    struct str model = {x->answer.model, x->answer.model_len};
    char text[ANSWER_MODEL_MAX];

    if (!c->sim->record)
        return;
    if (x->api != API_MODELS) /* from a body, where it is still escaped as it came */
        model = (struct str){text, json_unescape(model, text)};
    buf_clear(line);
    sim_must(buf_addf(line, "{\"n\":%llu,\"from_us\":%lld,\"to_us\":%lld,\"id\":\"", (unsigned long long)x->n,
                      (long long)x->from_us, (long long)now_us));
    sim_must(buf_add_json(line, str_of(x->id)));
    sim_must(buf_add_str(line, STR("\",\"model\":\"")));
    sim_must(buf_add_json(line, model));
    sim_must(buf_addf(line, "\",\"stream\":%s,\"status\":%d,\"end\":", x->stream ? "true" : "false", x->status));
    sim_must(end ? buf_addf(line, "\"%s\"", end) : buf_addf(line, "null"));
    sim_must(x->fault[0] ? buf_addf(line, ",\"fault\":\"%s\"", x->fault) : buf_addf(line, ",\"fault\":null"));
    sim_must(buf_addf(line, ",\"connection\":%llu,\"reused\":%s}\n", (unsigned long long)c->number,
                      c->served > 0 ? "true" : "false"));
    fwrite(buf_at(line), 1, buf_len(line), c->sim->record);
}

void record_flush(struct sim *sim)
{
    if (sim->record)
        fflush(sim->record);
}

void record_close(struct sim *sim)
{
    if (sim->record)
        fclose(sim->record);
    sim->record = NULL;
    buf_fini(&sim->record_line);
}
