#include "gatewayd/wait_parse.h"

#include "gatewayd/http.h"

/*
 * No strtod(): its decimal point follows the locale, and it takes exponents, hexadecimal and "nan". Spans are counted
 * in nanoseconds, which hold every unit's digits exactly, and stay at their greatest value instead of wrapping around.
 * Dates are handed to the calendar that reads HTTP's own, in its spelling.
 */

enum { DIGITS_MAX = 10, FRACTION_MAX = 9, PARTS_MAX = 16, NS_PER_MS = 1000000 };

#define NS_PER_S UINT64_C(1000000000)
#define NS_MAX ((uint64_t)WAIT_MAX_MS * NS_PER_MS)

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void skip(struct str *s, size_t count)
{
    s->at += count;
    s->len -= count;
}

struct number {
    uint64_t whole;
    struct str fraction; /* digits only, may be empty */
};

/* The number at the front. A point belongs to it only when a digit follows: it may also end a sentence. */
static bool take_number(struct str *s, struct number *out)
{
    struct number n = {0, {NULL, 0}};
    size_t i = 0, point;
    for (; i < s->len && is_digit(s->at[i]); i++) {
        if (i == DIGITS_MAX)
            return false;
        n.whole = n.whole * 10 + (uint64_t)(s->at[i] - '0');
    }
    if (i == 0)
        return false;
    point = i;
    if (i + 1 < s->len && s->at[i] == '.' && is_digit(s->at[i + 1])) {
        do
            i++;
        while (i < s->len && is_digit(s->at[i]));
        n.fraction = (struct str){s->at + point + 1, i - point - 1};
    }
    skip(s, i);
    *out = n;
    return true;
}

/* Units of a second and more have nine exact digits after the point, smaller ones as many as they have nanoseconds. */
static uint64_t times(struct number n, uint64_t unit)
{
    uint64_t ns = n.whole > NS_MAX / unit ? NS_MAX : n.whole * unit, scale = unit;
    bool more = false;
    for (size_t i = 0; i < n.fraction.len; i++) {
        uint64_t digit = (uint64_t)(n.fraction.at[i] - '0');
        scale = i < FRACTION_MAX ? scale / 10 : 0;
        ns += digit * scale;
        more = more || (digit != 0 && scale == 0);
    }
    ns += more;
    return ns < NS_MAX ? ns : NS_MAX;
}

static int64_t ms_of(uint64_t ns)
{
    return (int64_t)((ns + NS_PER_MS - 1) / NS_PER_MS);
}

bool wait_decimal(struct str s, uint64_t unit_ns, int64_t *ms)
{
    struct number n;
    if (!take_number(&s, &n) || s.len != 0)
        return false;
    *ms = ms_of(times(n, unit_ns));
    return true;
}

static const struct unit {
    struct str name;
    uint64_t ns;
    bool word; /* in sentences only, and in any case */
} units[] = {
    {{"ns", 2}, 1, false},
    {{"us", 2}, 1000, false},
    {{"\xc2\xb5s", 3}, 1000, false}, /* the micro sign, and the letter mu: Go writes the one and reads both */
    {{"\xce\xbcs", 3}, 1000, false},
    {{"ms", 2}, NS_PER_MS, false},
    {{"s", 1}, NS_PER_S, false},
    {{"m", 1}, 60 * NS_PER_S, false},
    {{"h", 1}, 3600 * NS_PER_S, false},
    {{"d", 1}, 86400 * NS_PER_S, false},
    {{"millisecond", 11}, NS_PER_MS, true},
    {{"milliseconds", 12}, NS_PER_MS, true},
    {{"sec", 3}, NS_PER_S, true},
    {{"secs", 4}, NS_PER_S, true},
    {{"second", 6}, NS_PER_S, true},
    {{"seconds", 7}, NS_PER_S, true},
    {{"min", 3}, 60 * NS_PER_S, true},
    {{"mins", 4}, 60 * NS_PER_S, true},
    {{"minute", 6}, 60 * NS_PER_S, true},
    {{"minutes", 7}, 60 * NS_PER_S, true},
    {{"hour", 4}, 3600 * NS_PER_S, true},
    {{"hours", 5}, 3600 * NS_PER_S, true},
    {{"day", 3}, 86400 * NS_PER_S, true},
    {{"days", 4}, 86400 * NS_PER_S, true},
};

/* The longest unit at the front: "ms" before "m". NULL when there is none. */
static const struct unit *take_unit(struct str *s, bool prose)
{
    const struct unit *best = NULL;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        const struct unit *u = &units[i];
        if ((u->word && !prose) || u->name.len > s->len || (best && best->name.len >= u->name.len))
            continue;
        if (u->word ? strncasecmp(s->at, u->name.at, u->name.len) == 0 : str_starts(*s, u->name))
            best = u;
    }
    if (best)
        skip(s, best->name.len);
    return best;
}

static void skip_blanks(struct str *s)
{
    while (s->len > 0 && s->at[0] == ' ')
        skip(s, 1);
}

/* Number and unit, as often as they follow one another; more often than there are units, they are none. */
static bool take_span(struct str *s, bool prose, int64_t *ms)
{
    struct str rest = *s;
    uint64_t sum = 0;
    unsigned parts = 0;
    for (; parts <= PARTS_MAX; parts++) {
        struct number n;
        const struct unit *unit;
        if (prose)
            skip_blanks(&rest);
        if (!take_number(&rest, &n))
            break;
        if (prose)
            skip_blanks(&rest);
        unit = take_unit(&rest, prose);
        if (!unit)
            break;
        uint64_t ns = times(n, unit->ns);
        sum = ns > NS_MAX - sum ? NS_MAX : sum + ns;
        *s = rest;
    }
    if (parts == 0 || parts > PARTS_MAX)
        return false;
    *ms = ms_of(sum);
    return true;
}

bool wait_span(struct str s, int64_t *ms)
{
    int64_t found;
    if (wait_decimal(s, NS_PER_S, ms))
        return true;
    if (!take_span(&s, false, &found) || s.len != 0)
        return false;
    *ms = found;
    return true;
}

bool wait_span_in_prose(struct str s, int64_t *ms)
{
    int64_t found;
    if (!take_span(&s, true, &found) || (s.len > 0 && (is_digit(s.at[0]) || is_letter(s.at[0]))))
        return false;
    *ms = found;
    return true;
}

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* "YYYY-MM-DD" and "hh:mm:ss" as a date of HTTP, where the day of the week is not looked at. */
static bool read_date(const char *date, const char *time, int64_t *seconds)
{
    char text[] = "Thu, 01 Jan 1970 00:00:00 GMT";
    int month = is_digit(date[5]) && is_digit(date[6]) ? (date[5] - '0') * 10 + (date[6] - '0') : 0;
    if (date[4] != '-' || date[7] != '-' || month < 1 || month > 12)
        return false;
    memcpy(text + 5, date + 8, 2);
    memcpy(text + 8, months[month - 1], 3);
    memcpy(text + 12, date, 4);
    memcpy(text + 17, time, 8);
    return http_date_parse((struct str){text, sizeof text - 1}, seconds);
}

/* "Z", or how far the clock there is ahead of UTC: "+05:30". */
static bool read_zone(struct str s, int64_t *ahead_s)
{
    *ahead_s = 0;
    if (s.len == 1)
        return s.at[0] == 'Z' || s.at[0] == 'z';
    if (s.len != 6 || (s.at[0] != '+' && s.at[0] != '-') || s.at[3] != ':')
        return false;
    if (!is_digit(s.at[1]) || !is_digit(s.at[2]) || !is_digit(s.at[4]) || !is_digit(s.at[5]))
        return false;
    int hours = (s.at[1] - '0') * 10 + (s.at[2] - '0'), minutes = (s.at[4] - '0') * 10 + (s.at[5] - '0');
    *ahead_s = (s.at[0] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return hours < 24 && minutes < 60;
}

bool wait_moment(struct str s, int64_t *epoch_ms)
{
    int64_t seconds, ahead;
    struct number part = {0, {NULL, 0}};
    if (s.len < 20 || !memchr("Tt ", s.at[10], 3) || is_digit(s.at[19]) || !read_date(s.at, s.at + 11, &seconds))
        return false;
    skip(&s, 18); /* to the last digit of the seconds, which makes a number of the fraction after it */
    if (!take_number(&s, &part) || !read_zone(s, &ahead))
        return false;
    part.whole = 0;
    *epoch_ms = (seconds - ahead) * 1000 + ms_of(times(part, NS_PER_S));
    return true;
}

bool wait_moment_in_prose(struct str s, int64_t *epoch_ms)
{
    char time[] = "00:00:00";
    int64_t seconds;
    if (s.len < 10)
        return false;
    if (s.len >= 19 && memcmp(s.at + 10, " at ", 4) == 0)
        memcpy(time, s.at + 14, 5);
    if (!read_date(s.at, time, &seconds))
        return false;
    *epoch_ms = seconds * 1000;
    return true;
}

int64_t wait_next_month(int64_t now_s)
{
    char now[30], first[] = "YYYY-MM-01";
    int64_t next = now_s;
    int month = 0, year = 0;
    http_date_format(now_s, now);
    while (month < 11 && memcmp(now + 8, months[month], 3) != 0)
        month++;
    for (int i = 0; i < 4; i++)
        year = year * 10 + (now[12 + i] - '0');
    year += month == 11;
    month = (month + 1) % 12 + 1;
    for (int i = 3; i >= 0; i--, year /= 10)
        first[i] = (char)('0' + year % 10);
    first[5] = (char)('0' + month / 10);
    first[6] = (char)('0' + month % 10);
    return read_date(first, "00:00:00", &next) ? next : now_s;
}
