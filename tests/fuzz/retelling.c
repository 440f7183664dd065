/*
 * An answer has two choices; each says a text and then calls a tool or two. A telling is a stream of it: where it is
 * cut into events, how each character is escaped, in which order the choices take turns and what all is called comes
 * from a random number that the bytes of the answer and the telling's own number make. The client is a reader of its
 * own that puts together what it is given as clients do: texts, names and ids alike.
 */

#include "tests/fuzz/retelling.h"

#include <stdio.h>
#include <stdlib.h>

#include "gatewayd/json.h"
#include "gatewayd/splice.h"
#include "gatewayd/sse.h"

enum { CHOICES = 2, TEXTS = 3, UNITS_MAX = 160 }; /* texts: the content, and the arguments of two calls */

struct text {
    size_t len;
    uint16_t units[UNITS_MAX];
};

struct answer {
    struct text texts[CHOICES][TEXTS];
};

struct telling {
    uint64_t random;
    unsigned number;
    struct buf events;
    struct buf ends; /* of each event, as size_t */
};

struct client {
    struct text texts[CHOICES][TEXTS];
    char names[CHOICES][TEXTS][16];
    char ids[CHOICES][TEXTS][16];
    bool finished[CHOICES];
    char id[16]; /* of the answer */
    const char *broken;
};

static size_t below(struct telling *t, size_t bound)
{
    uint64_t z = t->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (size_t)((z ^ (z >> 31)) % bound);
}

static void must(int r)
{
    if (r != 0)
        abort();
}

static void say(struct telling *t, const char *text)
{
    must(buf_add_str(&t->events, str_of(text)));
}

/* One unit, escaped or not; two when they are one character that stands raw. Returns how many. */
static size_t say_unit(struct telling *t, const uint16_t *units, size_t left)
{
    unsigned u = units[0];
    bool pair = u >= 0xd800 && u < 0xdc00 && left > 1 && units[1] >= 0xdc00 && units[1] < 0xe000;

    if (pair && below(t, 2) != 0) {
        unsigned c = 0x10000 + ((u - 0xd800) << 10) + (units[1] - 0xdc00u);
        const char raw[] = {(char)(0xf0 | c >> 18), (char)(0x80 | (c >> 12 & 0x3f)), (char)(0x80 | (c >> 6 & 0x3f)),
                            (char)(0x80 | (c & 0x3f))};
        must(buf_add(&t->events, raw, 4));
        return 2;
    }
    if (u < 0x20 || (u >= 0xd800 && u < 0xe000) || below(t, 8) == 0) {
        must(buf_addf(&t->events, below(t, 2) != 0 ? "\\u%04x" : "\\u%04X", u));
    } else if (u == '"' || u == '\\') {
        must(buf_addf(&t->events, "\\%c", (int)u));
    } else if (u < 0x80) {
        must(buf_add(&t->events, &(char){(char)u}, 1));
    } else if (u < 0x800) {
        must(buf_addf(&t->events, "%c%c", (int)(0xc0 | u >> 6), (int)(0x80 | (u & 0x3f))));
    } else {
        must(buf_addf(&t->events, "%c%c%c", (int)(0xe0 | u >> 12), (int)(0x80 | (u >> 6 & 0x3f)),
                      (int)(0x80 | (u & 0x3f))));
    }
    return 1;
}

static void say_units(struct telling *t, const struct text *text, size_t from, size_t until)
{
    while (from < until)
        from += say_unit(t, text->units + from, until - from);
}

/* How far a telling of one choice has come. */
struct place {
    unsigned text;
    size_t unit;
    bool named; /* the call's beginning was told */
    bool done;
};

/* A piece of a choice's text: the rest of it, a few units, or none. */
static size_t piece(struct telling *t, const struct text *text, size_t from)
{
    size_t left = text->len - from, most = below(t, 8) == 0 ? left : 6;

    return from + below(t, (left < most ? left : most) + 1);
}

static void say_call(struct telling *t, const struct text *text, unsigned choice, struct place *place)
{
    size_t until = place->named || below(t, 2) != 0 ? piece(t, text, place->unit) : place->unit;

    must(buf_addf(&t->events, "\"tool_calls\":[{\"index\":%u,", place->text - 1));
    if (!place->named || below(t, 4) == 0)
        must(buf_addf(&t->events, "\"id\":\"%u.%u.%u\",", t->number, choice, place->text));
    must(buf_addf(&t->events, "\"function\":{"));
    if (!place->named)
        must(buf_addf(&t->events, "\"name\":\"f%u\",", place->text));
    say(t, "\"arguments\":\"");
    say_units(t, text, place->unit, until);
    say(t, "\"}}]");
    place->named = true;
    place->unit = until;
}

/* Once a text is told the next begins, and after the last the choice is finished. */
static bool turn_page(const struct answer *answer, unsigned choice, struct place *place)
{
    if (place->unit < answer->texts[choice][place->text].len || (place->text > 0 && !place->named))
        return false;
    place->text++;
    place->unit = 0;
    place->named = false;
    return place->text == TEXTS;
}

static void say_choice(struct telling *t, const struct answer *answer, unsigned choice, struct place *place)
{
    must(buf_addf(&t->events, "{\"index\":%u,\"delta\":{", choice));
    if (place->text == 0) {
        const struct text *text = &answer->texts[choice][0];
        size_t until = piece(t, text, place->unit);
        say(t, below(t, 5) == 0 ? "\"role\":\"assistant\",\"content\":\"" : "\"content\":\"");
        say_units(t, text, place->unit, until);
        say(t, "\"");
        place->unit = until;
    } else {
        say_call(t, &answer->texts[choice][place->text], choice, place);
    }
    if (turn_page(answer, choice, place) && below(t, 2) != 0) {
        place->done = true;
        say(t, "},\"finish_reason\":\"stop\"}");
    } else {
        say(t, "},\"finish_reason\":null}");
    }
}

static void say_finish(struct telling *t, unsigned choice, struct place *place)
{
    must(buf_addf(&t->events, "{\"index\":%u,\"delta\":{},\"finish_reason\":\"stop\"}", choice));
    place->done = true;
}

static void end_event(struct telling *t)
{
    size_t end;

    say(t, "\n\n");
    end = buf_len(&t->events);
    must(buf_add(&t->ends, &end, sizeof end));
}

static void say_chunk(struct telling *t, const struct answer *answer, struct place places[])
{
    unsigned choice = (unsigned)below(t, CHOICES), count = 0, both = below(t, 4) == 0 ? CHOICES : 1;

    must(buf_addf(&t->events, "data: {\"id\":\"%u\",\"choices\":[", t->number));
    for (unsigned i = 0; i < CHOICES && count < both; i++) {
        unsigned c = (choice + i) % CHOICES;
        if (places[c].done)
            continue;
        if (count++ > 0)
            say(t, ",");
        if (places[c].text == TEXTS)
            say_finish(t, c, &places[c]);
        else
            say_choice(t, answer, c, &places[c]);
    }
    say(t, below(t, 2) != 0 ? "]}" : "],\"obfuscation\":\"noise\"}");
    end_event(t);
}

static void tell(struct telling *t, const struct answer *answer)
{
    struct place places[CHOICES] = {{.text = 0}, {.text = 0}};

    while (!places[0].done || !places[1].done) {
        if (below(t, 16) == 0) {
            say(t, below(t, 2) != 0 ? ": comment" : "data: {\"choices\":[],\"usage\":{}}");
            end_event(t);
        }
        say_chunk(t, answer, places);
    }
    say(t, "data: [DONE]");
    end_event(t);
}

static struct telling *telling_new(const struct answer *answer, uint64_t seed, unsigned number)
{
    struct telling *t = calloc(1, sizeof *t);

    if (t == NULL)
        abort();
    t->random = seed + number * UINT64_C(0x100000001b3);
    t->number = number;
    tell(t, answer);
    return t;
}

static void telling_free(struct telling *t)
{
    buf_fini(&t->events);
    buf_fini(&t->ends);
    free(t);
}

static size_t event_count(const struct telling *t)
{
    return buf_len(&t->ends) / sizeof(size_t);
}

static struct str event_at(const struct telling *t, size_t i)
{
    const size_t *ends = (const size_t *)(const void *)t->ends.data;
    size_t from = i > 0 ? ends[i - 1] : 0;

    return (struct str){t->events.data + from, ends[i] - from};
}

static void hear_unit(struct client *client, struct text *text, unsigned unit)
{
    if (text->len == UNITS_MAX)
        client->broken = "the client has too much";
    else
        text->units[text->len++] = (uint16_t)unit;
}

static const char *hear_escape(struct client *client, struct text *text, const char *p)
{
    char digits[5] = {p[1], p[2], p[3], p[4], 0};

    if (*p != 'u') {
        hear_unit(client, text, (unsigned char)*p);
        return p + 1;
    }
    hear_unit(client, text, (unsigned)strtoul(digits, NULL, 16));
    return p + 5;
}

static void hear_text(struct client *client, struct text *text, struct json_value value)
{
    const char *p = value.text.at;

    if (value.type != JSON_STRING)
        return;
    for (const char *end = p + value.text.len; p < end;) {
        unsigned c = (unsigned char)*p++;
        if (c == '\\') {
            p = hear_escape(client, text, p);
            continue;
        }
        size_t more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
        if (more > 0)
            c &= 0x3fu >> more;
        for (; more > 0; more--)
            c = c << 6 | ((unsigned char)*p++ & 0x3f);
        if (c >= 0x10000) {
            hear_unit(client, text, 0xd800 + ((c - 0x10000) >> 10));
            c = 0xdc00 + ((c - 0x10000) & 0x3ff);
        }
        hear_unit(client, text, c);
    }
}

static void hear_word(struct client *client, char word[16], struct json_value value)
{
    size_t len = strlen(word);

    if (value.type != JSON_STRING)
        return;
    if (len + value.text.len >= 16) {
        client->broken = "a name or id came twice";
        return;
    }
    memcpy(word + len, value.text.at, value.text.len);
    word[len + value.text.len] = '\0';
}

static void hear_call(struct client *client, uint64_t choice, struct str call)
{
    uint64_t index = 0;
    struct json_value id = json_path(call, "id");

    json_to_u64(json_path(call, "index"), &index);
    index++;
    if (client->ids[choice][index][0] == '\0')
        hear_word(client, client->ids[choice][index], id);
    else if (id.type == JSON_STRING && !json_str_eq(id, str_of(client->ids[choice][index])))
        client->broken = "a call has another id";
    hear_word(client, client->names[choice][index], json_path(call, "function.name"));
    hear_text(client, &client->texts[choice][index], json_path(call, "function.arguments"));
}

static void hear(struct client *client, struct str event)
{
    struct str data = sse_data(event);
    struct json_value choices = json_path(data, "choices"), id = json_path(data, "id"), choice, calls, call;

    if (id.type == JSON_STRING && client->id[0] == '\0')
        hear_word(client, client->id, id);
    if (id.type == JSON_STRING && !json_str_eq(id, str_of(client->id)))
        client->broken = "the answer has another id";
    while (choices.type == JSON_ARRAY && json_next(&choices.text, NULL, &choice)) {
        uint64_t index = 0;
        json_to_u64(json_path(choice.text, "index"), &index);
        if (json_path(choice.text, "finish_reason").type == JSON_STRING)
            client->finished[index] = true;
        hear_text(client, &client->texts[index][0], json_path(choice.text, "delta.content"));
        calls = json_path(choice.text, "delta.tool_calls");
        while (calls.type == JSON_ARRAY && json_next(&calls.text, NULL, &call))
            hear_call(client, index, call.text);
    }
}

/* Bytes become characters; the first few of them those that are hard to cut. */
static void answer_make(struct answer *answer, const uint8_t *bytes, size_t len)
{
    static const uint16_t hard[] = {'"', '\\', '\n', 0, 0xe9, 0xd83d, 0xde00, 0x20ac, 0xd83d, 0xffff};

    memset(answer, 0, sizeof *answer);
    for (size_t i = 0; i < len && i < UNITS_MAX; i++) {
        struct text *text = &answer->texts[i / 7 % CHOICES][i / 31 % TEXTS];
        text->units[text->len++] = bytes[i] < sizeof hard / sizeof *hard ? hard[bytes[i]] : bytes[i];
    }
}

static bool same_text(const struct text *a, const struct text *b)
{
    return a->len == b->len && memcmp(a->units, b->units, a->len * sizeof *a->units) == 0;
}

static const char *check_heard(const struct client *client, const struct answer *answer)
{
    if (client->broken != NULL)
        return client->broken;
    for (unsigned c = 0; c < CHOICES; c++) {
        if (!client->finished[c])
            return "a choice has no end";
        for (unsigned i = 0; i < TEXTS; i++) {
            char name[16] = "";
            if (i > 0)
                snprintf(name, sizeof name, "f%u", i);
            if (!same_text(&client->texts[c][i], &answer->texts[c][i]))
                return "a character is lost or doubled";
            if (strcmp(client->names[c][i], name) != 0)
                return "a call has another name";
        }
    }
    return NULL;
}

/* Replay a telling until it is cut. The index of the event that differed, or SIZE_MAX. */
static size_t replay(struct splice *splice, const struct telling *t, size_t cut, struct client *client)
{
    struct buf out = {.data = NULL};
    size_t differs = SIZE_MAX;

    splice_replay(splice);
    for (size_t i = 0; i < cut && differs == SIZE_MAX; i++) {
        int r = splice_event(splice, event_at(t, i), &out);
        if (r < 0)
            abort();
        if (r == SPLICE_DIFFERS)
            differs = i;
        if (r == SPLICE_PASS)
            hear(client, buf_str(&out));
        buf_clear(&out);
    }
    buf_fini(&out);
    return differs;
}

/* Change a character that the client has. False when it has none. */
static bool change(struct answer *answer, const struct client *client, struct telling *t)
{
    for (unsigned n = 0; n < 2 * CHOICES * TEXTS; n++) {
        size_t c = below(t, CHOICES), i = below(t, TEXTS), len = client->texts[c][i].len;
        if (len > 0) {
            answer->texts[c][i].units[below(t, len)] ^= 1;
            return true;
        }
    }
    return false;
}

/* Another answer differs, before any of it is passed that the client could not have been given. */
static const char *check_other(struct splice *splice, struct answer *answer, struct client *client, uint64_t seed)
{
    struct telling chance = {.random = seed};
    struct telling *other;
    const char *what = NULL;

    if (!change(answer, client, &chance))
        return NULL;
    other = telling_new(answer, seed, 9);
    if (replay(splice, other, event_count(other), client) == SIZE_MAX)
        what = "another answer is taken for this one";
    telling_free(other);
    return what;
}

static const char *retell(struct splice *splice, const struct answer *answer, uint64_t seed, struct client *client)
{
    struct telling *first = telling_new(answer, seed, 1);
    struct telling *again = NULL;
    size_t cut = below(first, event_count(first));
    const char *what = NULL;

    splice_begin(splice, SPLICE_CHAT);
    for (size_t i = 0; i < cut; i++) {
        hear(client, event_at(first, i));
        splice_note(splice, event_at(first, i));
    }
    for (unsigned number = 2; number < 5 && what == NULL && splice_possible(splice); number++) {
        again = telling_new(answer, seed, number);
        cut = number < 4 ? below(again, event_count(again)) : event_count(again);
        if (replay(splice, again, cut, client) != SIZE_MAX)
            what = "the same answer differs";
        else if (number == 4)
            what = splice_caught_up(splice) ? check_heard(client, answer) : "the end has not caught up";
        telling_free(again);
    }
    telling_free(first);
    return what != NULL ? what : splice->lost ? "an answer is lost" : client->broken;
}

const char *retelling(const uint8_t *bytes, size_t len)
{
    static struct answer answer;
    static struct client client;
    struct splice splice = {.api = SPLICE_NONE};
    uint64_t seed = UINT64_C(0xcbf29ce484222325);
    const char *what;

    for (size_t i = 0; i < len; i++)
        seed = (seed ^ bytes[i]) * UINT64_C(0x100000001b3);
    answer_make(&answer, bytes, len);
    memset(&client, 0, sizeof client);
    what = retell(&splice, &answer, seed, &client);
    if (what == NULL && splice_possible(&splice))
        what = check_other(&splice, &answer, &client, seed);
    splice_fini(&splice);
    return what;
}
