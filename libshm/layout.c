/*
 * The layout as numbers: where each section stands for given dims, and the hash that tells two layouts apart. The hash
 * is taken over the text of the tables in layout.h, the same that make the structs: there is no list to keep in step.
 */

#include "libshm/layout.h"

enum {
    DOMAINS_MAX = 65536,
    ENDPOINTS_MAX = 4096,
    LIMITS_MAX = 65536,
    EVENTS_MIN = 16,
    EVENTS_MAX = 16384,
    QUOTAS_MAX = 16384,
    MODELS_MAX = 16384,
    ROWS_DEFAULT = 16
};

#define TEXT_FIELD(s, type, name, offset) #type " " #name "@" #offset ";"
#define TEXT_ARRAY(s, type, name, count, offset) #type " " #name "[" #count "]@" #offset ";"
#define TEXT_STRUCT(s, TABLE, bytes) #s "{" TABLE(TEXT_FIELD, TEXT_ARRAY, s) "}" #bytes ";"
#define TEXT_SECTION(name, each, count) #name ":" #each "*" #count ";"

static const char layout_text[] = GWS_STRUCTS(TEXT_STRUCT) GWS_SECTIONS(TEXT_SECTION);

uint64_t gws_layout_hash(void)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < sizeof(layout_text) - 1; i++) {
        hash ^= (unsigned char)layout_text[i];
        hash *= UINT64_C(0x100000001b3);
    }
    return hash;
}

static bool dims_valid(const struct gws_dims *d)
{
    return d->slots >= 1 && d->slots <= GWS_SLOTS_MAX && d->guests < d->slots && d->domains >= 1 &&
           d->domains <= DOMAINS_MAX && d->endpoints >= 1 && d->endpoints <= ENDPOINTS_MAX &&
           d->endpoints <= d->domains && d->limits >= 1 && d->limits <= LIMITS_MAX && d->events >= EVENTS_MIN &&
           d->events <= EVENTS_MAX && (d->events & (d->events - 1)) == 0 &&
           d->quotas >= 1 && d->quotas <= QUOTAS_MAX && d->models >= 1 && d->models <= MODELS_MAX;
}

static uint32_t default_rows(uint32_t given, uint64_t wanted, uint32_t most)
{
    if (given != 0)
        return given;
    wanted = wanted < ROWS_DEFAULT ? ROWS_DEFAULT : wanted;
    return wanted < most ? (uint32_t)wanted : most;
}

/* Whoever limits a rate limits a day too, and a model comes with a few rows for pairs. */
struct gws_dims gws_dims_complete(const struct gws_dims *dims)
{
    struct gws_dims whole = *dims;

    whole.quotas = default_rows(dims->quotas, dims->limits, QUOTAS_MAX);
    whole.models = default_rows(dims->models, dims->domains / 4, MODELS_MAX);
    return whole;
}

static uint64_t place(uint64_t *at, uint64_t each, uint64_t count)
{
    uint64_t offset = *at;
    *at = (offset + each * count + GWS_PAGE - 1) / GWS_PAGE * GWS_PAGE;
    return offset;
}

/* With every dim inside its maximum no product comes near 64 bits, so plain arithmetic is enough. */
bool gws_layout_sections(const struct gws_dims *dims, struct gws_sections *sections)
{
    const struct gws_dims *d = dims;
    uint64_t at = sizeof(struct gws_header);

    if (!dims_valid(d))
        return false;
#define PLACE_SECTION(name, each, count) sections->name = place(&at, (each), (count));
    GWS_SECTIONS(PLACE_SECTION)
#undef PLACE_SECTION
    sections->end = at;
    return at <= SIZE_MAX / 2;
}

size_t gws_region_size(const struct gws_dims *dims)
{
    struct gws_dims whole = gws_dims_complete(dims);
    struct gws_sections sections;
    return gws_layout_sections(&whole, &sections) ? (size_t)sections.end : 0;
}
