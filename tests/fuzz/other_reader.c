/* Jansson behind a handful of questions. Of two members of one name it keeps the last. */

#include "tests/fuzz/other_reader.h"

#include <jansson.h>
#include <string.h>

void other_reader_open(struct other_reader *r, const char *text, size_t len)
{
    json_error_t error;
    enum json_error_code code;
    json_t *j = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

    *r = (struct other_reader){j, j != NULL && json_is_object(j), false};
    if (j != NULL)
        return;
    code = json_error_code(&error);
    r->own_reason = code == json_error_invalid_utf8 || code == json_error_numeric_overflow ||
                    code == json_error_null_byte_in_key || strstr(error.text, "invalid Unicode") != NULL;
}

void other_reader_close(struct other_reader *r)
{
    json_decref(r->document);
    r->document = NULL;
}

char other_reader_kind(const struct other_reader *r, const char *name)
{
    const json_t *j = json_object_get(r->document, name);

    if (j == NULL)
        return '-';
    switch (json_typeof(j)) {
    case JSON_OBJECT:
        return 'o';
    case JSON_ARRAY:
        return 'a';
    case JSON_STRING:
        return 's';
    case JSON_INTEGER:
        return 'i';
    case JSON_REAL:
        return 'r';
    case JSON_TRUE:
        return 't';
    case JSON_FALSE:
        return 'f';
    case JSON_NULL:
    default:
        return 'n';
    }
}

const char *other_reader_string(const struct other_reader *r, const char *name, size_t *len)
{
    const json_t *j = json_object_get(r->document, name);

    *len = json_string_length(j);
    return json_string_value(j);
}

double other_reader_number(const struct other_reader *r, const char *name)
{
    return json_number_value(json_object_get(r->document, name));
}

long long other_reader_integer(const struct other_reader *r, const char *name)
{
    return json_integer_value(json_object_get(r->document, name));
}

size_t other_reader_count(const struct other_reader *r, const char *name)
{
    const json_t *j = json_object_get(r->document, name);

    return json_is_array(j) ? json_array_size(j) : json_object_size(j);
}
