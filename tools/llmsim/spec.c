/*
 * Small notations, read by hand instead of with strtod: its result depends on the locale and it accepts hexadecimal,
 * exponents and prefixes, and a simulator that misreads "10s" as something else makes a whole rehearsal worthless.
 */

#include "tools/llmsim/spec.h"

bool spec_decimal(struct str s, double *out)
{
    double value = 0, unit = 1;
    size_t digits = 0;
    bool point = false;

    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] == '.' && !point) {
            point = true;
            continue;
        }
        if (s.at[i] < '0' || s.at[i] > '9' || ++digits > 15)
            return false;
        value = value * 10 + (s.at[i] - '0');
        if (point)
            unit *= 10;
    }
    if (digits == 0)
        return false;
    *out = value / unit;
    return true;
}

bool spec_duration(struct str s, int64_t *ms)
{
    static const struct {
        struct str name;
        double ms;
    } units[] = {{{"ms", 2}, 1}, {{"s", 1}, 1e3}, {{"m", 1}, 60e3}, {{"h", 1}, 3600e3}};
    size_t digits = 0;
    double value;

    while (digits < s.len && (s.at[digits] == '.' || (s.at[digits] >= '0' && s.at[digits] <= '9')))
        digits++;
    if (!spec_decimal((struct str){s.at, digits}, &value))
        return false;
    struct str unit = {s.at + digits, s.len - digits};
    if (unit.len == 0 && value == 0) {
        *ms = 0;
        return true;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (str_eq(unit, units[i].name) && value * units[i].ms <= 1e12) {
            *ms = (int64_t)(value * units[i].ms + 0.5);
            return true;
        }
    }
    return false;
}

bool spec_rate(struct str s, double *per_second)
{
    double value, seconds = 1;

    if (s.len > 2 && s.at[s.len - 2] == '/') {
        if (s.at[s.len - 1] == 'm')
            seconds = 60;
        else if (s.at[s.len - 1] != 's')
            return false;
        s.len -= 2;
    }
    if (!spec_decimal(s, &value))
        return false;
    *per_second = value / seconds;
    return true;
}

bool spec_percent(struct str s, double *chance)
{
    double value;

    if (s.len < 2 || s.at[s.len - 1] != '%' || !spec_decimal((struct str){s.at, s.len - 1}, &value) || value > 100)
        return false;
    *chance = value / 100;
    return true;
}

bool spec_count(struct str s, uint64_t max, uint64_t *out)
{
    uint64_t value;

    if (!str_to_u64(s, &value) || value > max)
        return false;
    *out = value;
    return true;
}
