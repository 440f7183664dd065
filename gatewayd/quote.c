/*
 * The credential is looked for in the message as it came and again without its escapes, because a provider may have
 * escaped what need not be; and before anything is cut, so that no half of it is left standing at the end.
 */

#include "gatewayd/quote.h"

#include "gatewayd/json.h"

enum { LOOKED_AT = 4096 };

static bool holds(struct str text, struct str part)
{
    return part.len > 0 && memmem(text.at, text.len, part.at, part.len) != NULL;
}

/* At most so many bytes, and no part of a character. */
static size_t cut(const char *text, size_t len, size_t most)
{
    if (len <= most)
        return len;
    while (most > 0 && ((unsigned char)text[most] & 0xc0) == 0x80)
        most--;
    return most;
}

size_t quote_error(struct str body, struct str credential, char *out, size_t size)
{
    char plain[LOOKED_AT];
    struct json_value message = json_path(body, "error.message");
    if (message.type != JSON_STRING || holds(message.text, credential))
        return 0;
    if (message.text.len > sizeof plain)
        message.text.len = sizeof plain;
    size_t len = json_unescape(message.text, plain);
    if (holds((struct str){plain, len}, credential))
        return 0;
    len = cut(plain, len, size);
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)plain[i];
        out[i] = byte < 0x20 || byte == 0x7f ? ' ' : plain[i];
    }
    return len;
}
