/*
 * The three date formats of HTTP, read and written with integer arithmetic on the proleptic Gregorian calendar: the C
 * library's functions follow the locale and the time zone, neither of which a header does.
 */

#include "gatewayd/http.h"

static const char day_names[7][10] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct date {
    int64_t year;
    unsigned month, day, hour, minute, second; /* month and day from 1 */
};

/*
 * Days since 1970-01-01. The year is counted from March on, so that the leap day is its last, and in eras of 400 years,
 * which all have 146097 days; 719468 is the number of days from March 1 of year 0 to the epoch.
 */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
    int64_t era, of_era, of_year;

    year -= month <= 2;
    era = (year >= 0 ? year : year - 399) / 400;
    of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    of_era = (year - era * 400) * 365 + (year - era * 400) / 4 - (year - era * 400) / 100 + of_year;
    return era * 146097 + of_era - 719468;
}

static void date_of_days(int64_t days, struct date *d)
{
    int64_t era, of_era, year, of_year, month;

    days += 719468;
    era = (days >= 0 ? days : days - 146096) / 146097;
    of_era = days - era * 146097;
    year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    of_year = of_era - (365 * year + year / 4 - year / 100);
    month = (5 * of_year + 2) / 153;
    d->day = (unsigned)(of_year - (153 * month + 2) / 5 + 1);
    d->month = (unsigned)(month < 10 ? month + 3 : month - 9);
    d->year = year + era * 400 + (d->month <= 2);
}

static bool date_seconds(const struct date *d, int64_t *seconds)
{
    static const unsigned lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = d->year % 4 == 0 && (d->year % 100 != 0 || d->year % 400 == 0);

    if (d->day < 1 || d->day > lengths[d->month - 1] + (d->month == 2 && leap ? 1 : 0))
        return false;
    if (d->hour > 23 || d->minute > 59 || d->second > 60) /* 60: a leap second */
        return false;
    *seconds = days_of(d->year, d->month, d->day) * 86400 + d->hour * 3600 + d->minute * 60 + d->second;
    return true;
}

static bool take_text(struct str *s, struct str text)
{
    if (!str_starts(*s, text))
        return false;
    s->at += text.len;
    s->len -= text.len;
    return true;
}

/* Exactly `count` digits; `pad` lets the first be a blank, as asctime() does for days. */
static bool take_number(struct str *s, size_t count, bool pad, unsigned *out)
{
    unsigned value = 0;

    if (s->len < count)
        return false;
    for (size_t i = 0; i < count; i++) {
        unsigned digit = (unsigned)(unsigned char)s->at[i] - '0';
        if (i == 0 && pad && s->at[i] == ' ')
            digit = 0;
        if (digit > 9)
            return false;
        value = value * 10 + digit;
    }
    s->at += count;
    s->len -= count;
    *out = value;
    return true;
}

static bool take_month(struct str *s, unsigned *month)
{
    for (unsigned i = 0; i < 12; i++) {
        if (take_text(s, (struct str){month_names[i], 3})) {
            *month = i + 1;
            return true;
        }
    }
    return false;
}

static bool take_time(struct str *s, struct date *d)
{
    return take_number(s, 2, false, &d->hour) && take_text(s, STR(":")) && take_number(s, 2, false, &d->minute) &&
           take_text(s, STR(":")) && take_number(s, 2, false, &d->second);
}

/* "06 Nov 1994 08:49:37 GMT", after the day of the week. */
static bool take_imf(struct str *s, struct date *d)
{
    unsigned year;

    if (!take_number(s, 2, false, &d->day) || !take_text(s, STR(" ")) || !take_month(s, &d->month) ||
        !take_text(s, STR(" ")) || !take_number(s, 4, false, &year) || !take_text(s, STR(" ")) || !take_time(s, d))
        return false;
    d->year = year;
    return take_text(s, STR(" GMT"));
}

/* "06-Nov-94 08:49:37 GMT" */
static bool take_rfc850(struct str *s, struct date *d)
{
    unsigned year;

    if (!take_number(s, 2, false, &d->day) || !take_text(s, STR("-")) || !take_month(s, &d->month) ||
        !take_text(s, STR("-")) || !take_number(s, 2, false, &year) || !take_text(s, STR(" ")) || !take_time(s, d))
        return false;
    d->year = year + (year < 69 ? 2000 : 1900);
    return take_text(s, STR(" GMT"));
}

/* "Nov  6 08:49:37 1994" */
static bool take_asctime(struct str *s, struct date *d)
{
    unsigned year;

    if (!take_month(s, &d->month) || !take_text(s, STR(" ")) || !take_number(s, 2, true, &d->day) ||
        !take_text(s, STR(" ")) || !take_time(s, d) || !take_text(s, STR(" ")) || !take_number(s, 4, false, &year))
        return false;
    d->year = year;
    return true;
}

bool http_date_parse(struct str s, int64_t *seconds)
{
    struct date d = {0};

    for (size_t i = 0; i < 7; i++) {
        bool good;
        /* The whole name first: it begins with its own abbreviation. */
        if (take_text(&s, str_of(day_names[i])))
            good = take_text(&s, STR(", ")) && take_rfc850(&s, &d);
        else if (!take_text(&s, (struct str){day_names[i], 3}))
            continue;
        else
            good = take_text(&s, STR(", ")) ? take_imf(&s, &d) : take_text(&s, STR(" ")) && take_asctime(&s, &d);
        return good && s.len == 0 && date_seconds(&d, seconds);
    }
    return false;
}

static void put_number(char *at, unsigned value, size_t count)
{
    for (size_t i = count; i > 0; i--) {
        at[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
}

void http_date_format(int64_t seconds, char out[30])
{
    const int64_t first = days_of(0, 1, 1) * 86400, last = days_of(10000, 1, 1) * 86400 - 1;
    struct date d = {0};
    int64_t days;
    unsigned left;

    seconds = seconds < first ? first : seconds > last ? last : seconds;
    days = (seconds >= 0 ? seconds : seconds - 86399) / 86400;
    left = (unsigned)(seconds - days * 86400);
    date_of_days(days, &d);
    memcpy(out, "Thu, 00 Jan 0000 00:00:00 GMT", 30);
    /* The epoch was a Thursday; the added weeks keep the remainder from being negative. */
    memcpy(out, day_names[(days + 4 + INT64_C(7) * 1000000) % 7], 3);
    put_number(out + 5, d.day, 2);
    memcpy(out + 8, month_names[d.month - 1], 3);
    put_number(out + 12, (unsigned)d.year, 4);
    put_number(out + 17, left / 3600, 2);
    put_number(out + 20, left / 60 % 60, 2);
    put_number(out + 23, left % 60, 2);
}
