#include "gatewayd/classify_codes.h"

/*
 * Providers use one status for several things (a 429 is a limit, an overload or an unpaid bill) and several statuses
 * for one thing, so their own names decide, and where they have no name for it, the words they always use. A name that
 * may stand beside a better one (a type that is always there, a whole class of failures) is asked when nothing else is
 * known.
 */

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

struct code {
    struct str name;
    enum outcome_class class;
};

#define MONTHLY STR("enforced_spend_limit_reached")

/* Whatever the status. The first row that is any of the error's names counts: what a wait does not cure stands before
 * what it does, and overload before the limits whose type it shares. */
static const struct code strong[] = {
    {STR("insufficient_quota"), CLASS_QUOTA},                    /* OpenAI: the code, or the type beside a newer one */
    {STR("credit_balance_exhausted"), CLASS_QUOTA},              /* OpenAI */
    {STR("organization_spend_limit_exceeded"), CLASS_QUOTA},     /* OpenAI */
    {STR("project_spend_limit_exceeded"), CLASS_QUOTA},          /* OpenAI */
    {STR("organization_usage_limit_exceeded"), CLASS_QUOTA},     /* OpenAI */
    {STR("quota_exceeded"), CLASS_QUOTA},                        /* HolySheep; Gemini Interactions: daily */
    {STR("tokens_limit_exceeded"), CLASS_QUOTA},                 /* HolySheep, in a 200: daily or monthly tokens */
    {STR("billing_error"), CLASS_QUOTA},                         /* Anthropic */
    {MONTHLY, CLASS_QUOTA},                                      /* Anthropic: details.error_code of a rate limit */
    {STR("payment_required"), CLASS_QUOTA},                      /* Gemini Interactions */
    {STR("context_length_exceeded"), CLASS_CONTEXT},             /* OpenAI, Azure and all that speak like them */
    {STR("content_filter"), CLASS_CLIENT},                       /* Azure */
    {STR("content_policy_violation"), CLASS_CLIENT},             /* OpenAI, Azure */
    {STR("validation_error"), CLASS_CLIENT},                     /* HolySheep */
    {STR("model_not_found"), CLASS_CLIENT},                      /* OpenAI, as a 403 too: the key is good for others */
    {STR("unsupported_country_region_territory"), CLASS_SERVER}, /* OpenAI, as a 403: it is the place, not the key */
    {STR("slow_down"), CLASS_OVERLOAD},                          /* OpenAI, as a 429 of type rate_limit_error */
    {STR("server_is_overloaded"), CLASS_OVERLOAD},               /* OpenAI */
    {STR("service_unavailable_error"), CLASS_OVERLOAD},          /* OpenAI */
    {STR("overloaded_error"), CLASS_OVERLOAD},                   /* Anthropic; in a stream the only sign of a 529 */
    {STR("UNAVAILABLE"), CLASS_OVERLOAD},                        /* Gemini */
    {STR("service_unavailable"), CLASS_OVERLOAD},                /* Gemini Interactions */
    {STR("rate_limit_exceeded"), CLASS_RATE},                    /* OpenAI, Groq, HolySheep, Gemini Interactions */
    {STR("rate_limit_error"), CLASS_RATE},                       /* Anthropic */
    {STR("rate_limited"), CLASS_RATE},                           /* Mistral's type */
    {STR("1300"), CLASS_RATE},                                   /* Mistral's code */
    {STR("RESOURCE_EXHAUSTED"), CLASS_RATE},                     /* Gemini, Vertex */
    {STR("too_many_requests"), CLASS_RATE},                      /* Gemini Interactions */
};

/* When the status says no more than "refused", or promises an answer. */
static const struct code weak[] = {
    {STR("invalid_api_key"), CLASS_AUTH},         /* OpenAI */
    {STR("authentication_error"), CLASS_AUTH},    /* Anthropic, HolySheep */
    {STR("permission_error"), CLASS_AUTH},        /* Anthropic */
    {STR("UNAUTHENTICATED"), CLASS_AUTH},         /* Gemini */
    {STR("PERMISSION_DENIED"), CLASS_AUTH},       /* Gemini */
    {STR("server_error"), CLASS_SERVER},          /* OpenAI, HolySheep */
    {STR("api_error"), CLASS_SERVER},             /* Anthropic */
    {STR("timeout"), CLASS_SERVER},               /* HolySheep */
    {STR("timeout_error"), CLASS_SERVER},         /* Anthropic */
    {STR("INTERNAL"), CLASS_SERVER},              /* Gemini */
    {STR("DEADLINE_EXCEEDED"), CLASS_SERVER},     /* Gemini */
    {STR("request_too_large"), CLASS_CLIENT},     /* Anthropic */
    {STR("invalid_request_error"), CLASS_CLIENT}, /* OpenAI, Anthropic */
    {STR("INVALID_ARGUMENT"), CLASS_CLIENT},      /* Gemini */
};

/* What has no name of its own. Where there are two texts, both must be there; case does not matter. */
static const struct sentence {
    struct str first, second;
    enum outcome_class class;
} sentences[] = {
    {STR("You have reached your specified "), STR("API usage limits"), CLASS_QUOTA},  /* Anthropic, as a 400 */
    {STR("credit balance is too low"), STR(""), CLASS_QUOTA},                         /* Anthropic, as a 400 */
    {STR("Insufficient Balance"), STR(""), CLASS_QUOTA},                              /* DeepSeek, once under way */
    {STR("prompt is too long"), STR(""), CLASS_CONTEXT},                              /* Anthropic */
    {STR("exceed context limit"), STR(""), CLASS_CONTEXT},                            /* Anthropic, with max_tokens */
    {STR("maximum context length"), STR(""), CLASS_CONTEXT},                          /* DeepSeek, Mistral, vLLM */
    {STR("exceeds the context window"), STR(""), CLASS_CONTEXT},                      /* OpenAI's Responses */
    {STR("token count"), STR("exceeds the maximum number of tokens"), CLASS_CONTEXT}, /* Gemini */
    {STR("territory not supported"), STR(""), CLASS_SERVER},                          /* OpenAI through some relays */
    {STR("User location is not supported"), STR(""), CLASS_SERVER},                   /* Gemini, as a 400 */
    {STR("unsupported countr"), STR(""), CLASS_SERVER},                               /* Anthropic, as a 403 */
    {STR("was flagged"), STR(""), CLASS_CLIENT},                                      /* OpenRouter, as a 403 */
    {STR("API key not valid"), STR(""), CLASS_AUTH},                                  /* Gemini, as a 400 */
    {STR("API key expired"), STR(""), CLASS_AUTH},                                    /* Gemini, as a 400 */
};

/* What Anthropic calls it more exactly, in an object where Google has a list. */
static struct json_value detail_of(const struct json_error *error)
{
    if (error->details.type == JSON_OBJECT)
        return json_path(error->details.text, "error_code");
    return (struct json_value){JSON_NONE, {NULL, 0}};
}

static const struct code *find_code(const struct code *rows, size_t count, const struct json_error *error)
{
    const struct json_value names[] = {error->code, error->type, error->status, detail_of(error)};
    for (size_t i = 0; i < count; i++)
        for (size_t n = 0; n < COUNT(names); n++)
            if (json_str_eq(names[n], rows[i].name))
                return &rows[i];
    return NULL;
}

static const struct sentence *find_sentence(const struct json_error *error)
{
    for (size_t i = 0; i < COUNT(sentences) && error->message.type == JSON_STRING; i++) {
        struct str rest = json_error_after(error->message.text, sentences[i].first);
        if (rest.at && (sentences[i].second.len == 0 || json_error_after(rest, sentences[i].second).at))
            return &sentences[i];
    }
    return NULL;
}

enum outcome_class classify_codes(const struct json_error *error, enum outcome_class by_status)
{
    const struct code *code = find_code(strong, COUNT(strong), error);
    bool vague = by_status == CLASS_CLIENT || by_status == CLASS_INVALID;
    if (code)
        return code->class;
    if (!vague && by_status != CLASS_AUTH)
        return by_status;
    const struct sentence *sentence = find_sentence(error);
    if (sentence)
        return sentence->class;
    code = vague ? find_code(weak, COUNT(weak), error) : NULL;
    return code ? code->class : by_status;
}

bool classify_codes_monthly(const struct json_error *error)
{
    return json_str_eq(detail_of(error), MONTHLY);
}
