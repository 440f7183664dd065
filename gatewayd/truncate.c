/*
 * What is left out is always a run of the oldest messages (those of the system aside), so one number says it all: the
 * index of the first that stays. What is cut is a handful of texts, remembered by where they stand. So nothing is
 * allocated, however many messages a hostile body has, and the new body is the old one copied in a few pieces.
 */

#include "gatewayd/truncate.h"

#include <errno.h>

#include "gatewayd/tokens.h"

static const struct str marker = {"... [truncated]", 15};

enum role { OTHER, SYSTEM, ASSISTANT, ANSWER };

/* A text whose end may be replaced. */
struct text {
    struct str text;
    uint64_t bytes;  /* once unescaped */
    unsigned message;
    size_t kept;     /* of its bytes in the body; all of them while it is not cut */
};

struct plan_of_cuts {
    struct tokens_weight weight; /* of the body, as far as it is decided */
    uint64_t most;
    unsigned messages;
    unsigned first;              /* the oldest message that stays, those of the system aside */
    unsigned left_out;
    struct text texts[TRUNCATE_CUTS]; /* the longest ones, longest first */
    unsigned text_count;
};

static bool is_small(const struct tokens_weight *weight, uint64_t most)
{
    return tokens_sum(weight) <= most;
}

static bool fits(const struct plan_of_cuts *plan)
{
    return is_small(&plan->weight, plan->most);
}

/* Anthropic's answers to calls are parts of a user's message. */
static bool holds_answer(struct json_value content)
{
    struct json_value part;
    while (content.type == JSON_ARRAY && json_next(&content.text, NULL, &part))
        if (part.type == JSON_OBJECT && json_str_eq(json_path(part.text, "type"), STR("tool_result")))
            return true;
    return false;
}

static enum role role_of(struct json_value message)
{
    const char *const names[] = {"role", "content", "tool_call_id"};
    struct json_value v[3];
    if (json_find(message.text, names, v, 3, NULL) != 0)
        return OTHER;
    if (json_str_eq(v[0], STR("system")) || json_str_eq(v[0], STR("developer")))
        return SYSTEM;
    if (json_str_eq(v[0], STR("assistant")))
        return ASSISTANT;
    if (json_str_eq(v[0], STR("tool")) || json_str_eq(v[0], STR("function")) || v[2].type == JSON_STRING)
        return ANSWER;
    return holds_answer(v[1]) ? ANSWER : OTHER;
}

static void subtract(struct tokens_weight *weight, const struct tokens_weight *part)
{
    weight->text.bytes -= part->text.bytes;
    weight->text.not_ascii -= part->text.not_ascii;
    weight->text.characters -= part->text.characters;
    weight->messages -= part->messages;
    weight->flat -= part->flat;
}

/*
 * Find the first message that stays, in a body that is too large. It may be any but an answer, which would lack its
 * call; the assistant's only when no other is left behind it that would do. What cannot be made to fit like this is
 * left with as little as possible.
 */
static void leave_out(struct plan_of_cuts *plan, struct str list)
{
    struct tokens_weight left = plan->weight;
    struct json_value message;
    unsigned passed = 0;
    bool found = false, enough = false;
    for (unsigned i = 0; !found && json_next(&list, NULL, &message); i++) {
        struct tokens_weight one = {0};
        enum role role = role_of(message);
        if (role == SYSTEM)
            continue;
        found = role == OTHER && is_small(&left, plan->most);
        if (found || (role != ANSWER && !enough)) {
            plan->first = i;
            plan->left_out = passed;
            plan->weight = left;
            enough = fits(plan);
        }
        tokens_weigh_message(message, &one);
        subtract(&left, &one);
        passed++;
    }
}

/* Remember a text if it is among the longest. */
static void note_text(struct plan_of_cuts *plan, struct json_value text, unsigned message)
{
    struct json_extent extent = {0, 0, 0};
    if (!tokens_is_text(text))
        return;
    json_measure(text.text, &extent);
    struct text noted = {text.text, extent.bytes, message, text.text.len};
    unsigned at = plan->text_count;
    if (extent.bytes <= marker.len || (at == TRUNCATE_CUTS && plan->texts[--at].bytes >= extent.bytes))
        return;
    for (; at > 0 && plan->texts[at - 1].bytes < extent.bytes; at--)
        plan->texts[at] = plan->texts[at - 1];
    plan->texts[at] = noted;
    plan->text_count += plan->text_count < TRUNCATE_CUTS;
}

/* The texts of a message are its content, or those of its parts, or of the parts of an answer to a call among them. */
static void note_texts(struct plan_of_cuts *plan, struct json_value content, unsigned depth, unsigned message)
{
    const char *const names[] = {"text", "content"};
    struct json_value part, v[2];
    note_text(plan, content, message);
    if (depth == 0 || content.type != JSON_ARRAY)
        return;
    while (json_next(&content.text, NULL, &part)) {
        if (part.type != JSON_OBJECT || json_find(part.text, names, v, 2, NULL) != 0)
            continue;
        note_text(plan, v[0], message);
        note_texts(plan, v[1], depth - 1, message);
    }
}

static bool stays(const struct plan_of_cuts *plan, struct json_value message, unsigned index)
{
    return index >= plan->first || role_of(message) == SYSTEM;
}

/* The bytes in the body of a text's first character: an escape, a pair of them, or UTF-8. */
static size_t character_len(struct str text)
{
    size_t len = 1;
    if (text.at[0] == '\\') {
        bool pair = text.len >= 12 && text.at[1] == 'u' && (text.at[2] | 0x20) == 'd' && text.at[6] == '\\' &&
                    text.at[7] == 'u';
        len = text.len > 1 && text.at[1] == 'u' ? pair ? 12 : 6 : 2;
    } else {
        while (len < 4 && len < text.len && ((unsigned char)text.at[len] & 0xc0) == 0x80)
            len++;
    }
    return len < text.len ? len : text.len;
}

/* Cut a text where the body just fits, or to its first character if it does not even then. */
static void cut(struct plan_of_cuts *plan, struct text *text)
{
    struct tokens_weight whole = {0};
    struct str rest = text->text;
    json_measure(rest, &whole.text);
    subtract(&plan->weight, &whole);
    json_measure(marker, &plan->weight.text);
    text->kept = 0;
    while (rest.len > 0) {
        struct tokens_weight more = plan->weight;
        size_t len = character_len(rest);
        json_measure((struct str){rest.at, len}, &more.text);
        if (text->kept > 0 && (len == rest.len || !is_small(&more, plan->most)))
            break;
        plan->weight = more;
        text->kept += len;
        rest = (struct str){rest.at + len, rest.len - len};
    }
}

static void cut_texts(struct plan_of_cuts *plan, struct str list)
{
    struct json_value message;
    for (unsigned i = 0; json_next(&list, NULL, &message); i++) {
        const char *const names[] = {"content"};
        struct json_value content;
        if (stays(plan, message, i) && json_find(message.text, names, &content, 1, NULL) == 0)
            note_texts(plan, content, 2, i);
    }
    for (unsigned i = 0; i < plan->text_count && !fits(plan); i++)
        cut(plan, &plan->texts[i]);
}

/* Copy what stands between two places of the body, but for the ends of texts that were cut. */
static int copy(struct buf *out, const char *from, const char *to, const struct plan_of_cuts *plan)
{
    for (;;) {
        const struct text *next = NULL;
        for (unsigned i = 0; i < plan->text_count; i++) {
            const struct text *text = &plan->texts[i];
            bool here = text->kept < text->text.len && text->text.at >= from && text->text.at < to;
            if (here && (!next || text->text.at < next->text.at))
                next = text;
        }
        const char *end = next ? next->text.at + next->kept : to;
        int rc = buf_add(out, from, (size_t)(end - from));
        if (rc != 0 || !next)
            return rc;
        rc = buf_add_str(out, marker);
        if (rc != 0)
            return rc;
        from = next->text.at + next->text.len;
    }
}

/* The body with what stays of its messages. What stands between two of them goes with the second. */
static int write_body(struct str body, struct str list, const struct plan_of_cuts *plan, struct buf *out)
{
    struct json_value message;
    struct str rest = list;
    const char *from = list.at + 1, *end = list.at + 1;
    bool any = false;
    int rc = buf_add(out, body.at, (size_t)(from - body.at));
    for (unsigned i = 0; rc == 0 && json_next(&rest, NULL, &message); i++) {
        end = message.text.at + message.text.len;
        if (stays(plan, message, i)) {
            /* Without its comma, when it is the first. */
            rc = copy(out, any || i == 0 ? from : message.text.at, end, plan);
            any = true;
        }
        from = end;
    }
    return rc == 0 ? buf_add(out, end, (size_t)(body.at + body.len - end)) : rc;
}

static unsigned count_changed(const struct plan_of_cuts *plan)
{
    unsigned changed = plan->left_out;
    for (unsigned i = 0; i < plan->text_count; i++) {
        bool counts = plan->texts[i].kept < plan->texts[i].text.len;
        for (unsigned j = 0; j < i; j++) /* a message is changed once, however many of its texts are cut */
            counts = counts && !(plan->texts[j].message == plan->texts[i].message &&
                                 plan->texts[j].kept < plan->texts[j].text.len);
        changed += counts;
    }
    return changed;
}

static bool holds_objects_only(struct str list)
{
    struct json_value message;
    bool any = false;
    while (json_next(&list, NULL, &message)) {
        if (message.type != JSON_OBJECT)
            return false;
        any = true;
    }
    return any;
}

int truncate_messages(struct str body, uint64_t most, struct buf *out, unsigned *count)
{
    const char *const names[] = {"messages"};
    struct plan_of_cuts plan = {.most = most};
    struct json_value list;
    size_t before = buf_len(out);
    if (!tokens_weigh(body, &plan.weight) || json_find(body, names, &list, 1, NULL) != 0 ||
        list.type != JSON_ARRAY || !holds_objects_only(list.text))
        return TRUNCATE_CANNOT;
    if (!fits(&plan))
        leave_out(&plan, list.text);
    if (!fits(&plan))
        cut_texts(&plan, list.text);
    if (!fits(&plan))
        return TRUNCATE_CANNOT;
    int rc = write_body(body, list.text, &plan, out);
    if (rc != 0) {
        out->end = out->start + before;
        return rc;
    }
    *count = count_changed(&plan);
    return TRUNCATE_DONE;
}
