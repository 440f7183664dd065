"""Every signal that providers are known to send, provider by provider, as tables.

A row is what an upstream says and what has to come of it; signals.py plays it to both client dialects, streamed and
not, and judges the client's answer, the upstream's tries and the shared region. What the rows say is in the words that
the providers themselves use; the dates are by a clock that is a year off, because only the answer's own may count.
"""

import json
import time
from email.utils import formatdate

from harness import crowd, endpoint, equal, failed, ok, wait_until
from signals import (ANSWER, BACK, DATE, EPOCH, SERVER, Row, answering, auth, choice, event, good, model_quota,
                     overload, play, quota, rate, slow_down)
from upstream import answer, failure, sse

WHOLE, STREAM, RESPONSES = {"only": "whole"}, {"only": "stream"}, {"dialects": ["responses"]}


def later(seconds):
    """RFC 3339, by the provider's clock."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(EPOCH + seconds))


def error(message="Something is wrong.", kind=None, code=None, **more):
    return {"error": {"message": message, "type": kind, "param": None, "code": code, **more}}


def limits(**values):
    """x-ratelimit-remaining-requests and its kin, from remaining_requests."""
    return {"x-ratelimit-" + name.replace("_", "-", 1): value for name, value in values.items()}


# HolySheep relay.

def holysheep(message="Request quota exceeded.", code="rate_limit_exceeded", kind="rate_limit", **more):
    return error(message, kind, code, request_id="hs_req_7f3a9b2c4d8e", **more)


def window(remaining, reset):
    return {"X-RateLimit-Limit": 100, "X-RateLimit-Remaining": remaining, "X-RateLimit-Reset": reset}


def test_holysheep(t):
    empty = {"id": "x", "object": "chat.completion", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "stop"}]}
    play(t, [
        Row("retry_after in the body", rate(1.2), 429,
            holysheep("Request quota exceeded. Retry after 1.2 seconds.", retry_after=1.2), window(3, EPOCH + 40)),
        Row("retry_after to the millisecond", rate(31.237), 429, holysheep(retry_after=31.237)),
        Row("only the message", rate(14.5), 429, holysheep("Request quota exceeded. Retry after 14.5 seconds.")),
        Row("a spike: fractional Reset", rate(30.25), 429, holysheep(), window(7, "%d.25" % (EPOCH + 30))),
        Row("a spike: Reset beyond a minute", rate(60), 429, holysheep(), window(7, EPOCH + 3000)),
        Row("a spike: nothing left", rate(42), 429, holysheep(), window(0, EPOCH + 42)),
        Row("a Reset that is past", rate(), 429, holysheep(), window(7, EPOCH - 1)),
        Row("no wait at all", rate(), 429, holysheep()),
        Row("no wait, and nothing left", rate(4, named=False), 429, holysheep(), {"X-RateLimit-Remaining": 0}),
        Row("quota_exceeded", quota(), 429, holysheep(code="quota_exceeded", kind="quota")),
        Row("quota_exceeded and until when", quota(3600), 429, holysheep(code="quota_exceeded", retry_after=3600)),
        Row("tokens_limit_exceeded in a 200", quota(), 200,
            error("Monthly token limit reached", "tokens_limit_exceeded")),
        Row("an empty answer", SERVER, 200, empty, dialects=["openai"], **WHOLE),
        Row("authentication_error", auth(), 401, holysheep("Invalid API key", "authentication_error")),
        Row("validation_error", BACK, 400, holysheep("messages is required", "validation_error")),
        Row("server_error", SERVER, 500, holysheep("Upstream failed", "server_error")),
        Row("timeout", SERVER, 504, holysheep("Upstream timed out", "timeout")),
    ])


# OpenAI.

def limited(message="Rate limit reached for gpt-4.1 in organization org-1 on requests per min (RPM): Limit 3, Used 3, "
            "Requested 1.", kind="requests", code="rate_limit_exceeded"):
    return error(message, kind, code)


def tpm(span):
    return limited("Rate limit reached for gpt-4.1 in organization org-1 on tokens per min (TPM): Limit 30000, Used "
                   "29000, Requested 1247. Please try again in %s. Visit https://platform.openai.com." % span, "tokens")


def test_openai_limits(t):
    play(t, [
        Row("retry-after-ms before retry-after", rate(0.494), 429, tpm("494ms"),
            {"retry-after": "1", "retry-after-ms": "494"}),
        Row("retry-after", rate(20), 429, limited(), {"retry-after": "20"}),
        Row("try again in 494ms", rate(0.494), 429, tpm("494ms")),
        Row("try again in 1m30.5s", rate(90.5), 429, tpm("1m30.5s")),
        Row("try again in 6m0s: no longer than the longest", rate(300), 429, tpm("6m0s")),
        Row("the reset of what is used up", rate(12), 429, limited(), limits(
            remaining_requests=0, reset_requests="12s", remaining_tokens=1200, reset_tokens="40s")),
        Row("two are used up", rate(12.052), 429, limited(), limits(
            remaining_requests=0, reset_requests="6ms", remaining_tokens=0, reset_tokens="12.052s")),
        Row("a reset is until full: a minute at most", rate(60), 429, limited(), limits(
            remaining_tokens=0, reset_tokens="6m0s")),
        Row("another variant of a dimension", rate(20), 429, limited(), limits(
            remaining_tokens_usage_based=0, reset_tokens_usage_based="20s", remaining_tokens=5, reset_tokens="50s")),
        Row("a reset, and something left of all", rate(), 429, limited(), limits(
            remaining_requests=1, reset_requests="12s", remaining_tokens=1200, reset_tokens="40s")),
        Row("no wait", rate(), 429, limited()),
        Row("no body", rate(), 429),
        Row("a page of HTML", rate(11), 429, b"<html>429 Too Many Requests</html>", {"Retry-After": "11"},
            kind="text/html"),
        Row("as the first event", rate(17), 200, tpm("17s"), **STREAM),
        Row("as the first event, with a header", rate(18), 200, limited(), {"retry-after": "18"}, **STREAM),
        Row("as the first event of a response", rate(19), 200, dialects=["responses"], only="stream",
            events=event("response.created", response={"id": "resp_1"}) +
            event("error", code="rate_limit_exceeded", message="Please try again in 19s.", param=None)),
        Row("slow_down", slow_down(), 429, error("Slow down", "rate_limit_error", "slow_down")),
        Row("slow_down for a while", slow_down(15), 429, error("Slow down", "rate_limit_error", "slow_down"),
            {"Retry-After": "15"}),
        Row("overloaded", overload(), 503, error("Overloaded", "service_unavailable_error", "server_is_overloaded")),
        Row("overloaded for a while", overload(25), 503,
            error("Overloaded", "service_unavailable_error", "server_is_overloaded"), {"Retry-After": "25"}),
        Row("503 without a name", overload(), 503, b"upstream connect error"),
        Row("an overload asks for itself alone", overload(), 503, error("Overloaded"), limits(
            remaining_requests=0, reset_requests="12s")),
    ])


def test_openai_quota_and_credentials(t):
    def spent(code, kind="insufficient_quota"):
        return error("You exceeded your current quota, please check your plan and billing details.", kind, code)
    play(t, [
        Row("insufficient_quota", quota(), 429, spent("insufficient_quota")),
        Row("the type alone", quota(), 429, spent(None)),
        Row("credit_balance_exhausted", quota(), 429, spent("credit_balance_exhausted", None)),
        Row("organization_spend_limit_exceeded", quota(), 429, spent("organization_spend_limit_exceeded")),
        Row("project_spend_limit_exceeded", quota(), 429, spent("project_spend_limit_exceeded")),
        Row("organization_usage_limit_exceeded", quota(), 429, spent("organization_usage_limit_exceeded")),
        Row("quota, although counters would refill", quota(), 429, spent("insufficient_quota"), limits(
            remaining_requests=0, reset_requests="12s")),
        Row("quota as the first event", quota(), 200, spent("insufficient_quota"), **STREAM),
        Row("quota in a 200", quota(), 200, spent("insufficient_quota"), **WHOLE),
        Row("401", auth(), 401, error("Incorrect API key provided: sk-1.", "invalid_request_error", "invalid_api_key")),
        Row("401 without a body", auth(), 401),
        Row("403", auth(), 403, error("You are not allowed to do this.", "invalid_request_error")),
        Row("403 for a model", BACK, 403, error("Project does not have access to model", "invalid_request_error",
                                                "model_not_found")),
        Row("403 for a region", SERVER, 403, error("Country, region, or territory not supported",
                                                   "request_forbidden", "unsupported_country_region_territory")),
    ])


def test_openai_refusals(t):
    """The request's own making: the same status, the same bytes, nobody else asked, nobody blamed."""
    bad = error("Invalid value for 'temperature'.", "invalid_request_error", "invalid_value")
    play(t, [Row("%d" % status, BACK, status, bad) for status in (400, 404, 405, 406, 410, 413, 415, 422, 431)] + [
        Row("a bad request without a name", BACK, 400, b"no"),
        Row("context length", BACK, 400, error("This model's maximum context length is 8192 tokens.",
                                               "invalid_request_error", "context_length_exceeded")),
        Row("content policy", BACK, 400, error("Rejected by our safety system.", "image_generation_user_error",
                                               "content_policy_violation")),
        Row("an impatient 400", BACK, 400, bad, {"Retry-After": "30"}),
        Row("content policy in a 200", BACK, 200, error("Rejected by our safety system.", None,
                                                        "content_policy_violation"), **WHOLE),
    ])


def test_openai_failures(t):
    nothing = choice(delta={"role": "assistant", "content": ""}, finish_reason=None)
    stopped = choice(delta={}, finish_reason="stop")
    play(t, [Row("%d" % status, SERVER, status, error("The server had an error", "server_error"))
             for status in (408, 409, 500, 501, 502, 504, 520, 521, 522, 523, 524, 530)] + [
        Row("an error in a 200", SERVER, 200, error("The server had an error", "server_error")),
        Row("an error that is a text", SERVER, 200, {"error": "out of memory"}),
        Row("no choices", SERVER, 200, {"id": "x", "object": "chat.completion", "choices": []}, **WHOLE),
        Row("a login page", SERVER, 200, b"<html>Sign in</html>", kind="text/html", **WHOLE),
        Row("an empty 200", SERVER, 200, b"", **WHOLE),
        Row("half an answer", SERVER, 200, b'{"id": "x", "choices": [{"index": 0, "message": {"rol', **WHOLE),
        Row("a named error event", SERVER, 200, events=b"event: error\n" + sse(error("no")), **STREAM),
        Row("an error behind a role", SERVER, 200, events=sse(nothing) + sse(error("no")), **STREAM),
        Row("an error behind comments", SERVER, 200, events=b": wait\n\n\n\n: wait\n\n" + sse(error("no")), **STREAM),
        Row("an error, and as if it were well", SERVER, 200, events=sse(error("no")) + b"data: [DONE]\n\n", **STREAM),
        Row("a failed response", SERVER, 200, dialects=["responses"], only="stream",
            events=event("response.failed", response={"error": {"code": "server_error", "message": "no"}})),
        Row("nothing but the end", SERVER, 200, events=b"data: [DONE]\n\n", **STREAM),
        Row("an end without a word", SERVER, 200, events=sse(nothing) + sse(stopped) + b"data: [DONE]\n\n", **STREAM),
        Row("no event at all", SERVER, 200, events=b"", **STREAM),
        Row("only bad events", SERVER, 200, events=b"data: {\"choices\": [{\n\n", **STREAM),
        Row("the upstream says: for the moment", SERVER, 400, error("Try again"), {"x-should-retry": "true"}),
        Row("its library shall not; another endpoint may", SERVER, 500, error("no"), {"x-should-retry": "false"}),
        Row("its library shall not, for a limit", rate(33), 429, limited(),
            {"x-should-retry": "false", "Retry-After": "33"}),
    ])


# Azure OpenAI.

def azure(message):
    return {"error": {"code": "429", "message": "Requests to the ChatCompletions_Create Operation under Azure OpenAI "
                      "API version 2024-02-15 have exceeded token rate limit of your current OpenAI S0 pricing tier. "
                      "%s Please go here: https://aka.ms/oai/quotaincrease if you would like to further increase the "
                      "default rate limit." % message}}


def test_azure(t):
    filtered = {"error": {"message": "The response was filtered due to the prompt triggering Azure OpenAI's content "
                          "management policy.", "type": None, "param": "prompt", "code": "content_filter",
                          "status": 400, "innererror": {"code": "ResponsibleAIPolicyViolation"}}}
    play(t, [
        Row("retry-after-ms", rate(36.5), 429, azure("Please retry after 37 seconds."),
            {"retry-after": "37", "retry-after-ms": "36500"}),
        Row("x-ms-retry-after-ms", rate(25.25), 429, azure("Please retry after 26 seconds."),
            {"x-ms-retry-after-ms": "25250", "retry-after": "26"}),
        Row("no header", rate(37), 429, azure("Please retry after 37 seconds.")),
        Row("one second", rate(1), 429, azure("Please retry after 1 second.")),
        Row("the front door", rate(18), 429,
            {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 18 seconds."}),
        Row("a reset in whole seconds", rate(45), 429, azure(""), limits(remaining_tokens=0, reset_tokens="45")),
        Row("-1 for what it does not know", rate(), 429, azure(""), limits(remaining_tokens=-1, reset_tokens="-1")),
        Row("0 for what it does not know", rate(), 429, azure(""), limits(remaining_tokens=0, reset_tokens="0")),
        Row("come back tomorrow", quota(21600), 429, azure("Please retry after 86400 seconds."),
            {"retry-after": "86400"}),
        Row("come back tomorrow, in words", quota(21600), 429, azure("Please retry after 86400 seconds.")),
        Row("content filter", BACK, 400, filtered),
        Row("401", auth(), 401, {"error": {"code": "401", "message": "Access denied due to invalid subscription key"}}),
        Row("the front door's 401", auth(), 401, {"statusCode": 401, "message": "Unauthorized"}),
        Row("408", SERVER, 408, {"error": {"code": "Timeout", "message": "The operation was timeout."}}),
    ])


# Anthropic.

def anthropic(kind, message="Something is wrong.", **more):
    return {"type": "error", "error": {"type": kind, "message": message, **more}, "request_id": "req_011"}


def buckets(**values):
    return {"anthropic-ratelimit-" + name.replace("_", "-"): value for name, value in values.items()}


def refused(body, before=b""):
    return before + b"event: error\n" + sse(body)


def test_anthropic(t):
    start = event("message_start", message={"id": "msg_1", "content": []}) + event("ping")
    play(t, [
        Row("retry-after", rate(20), 429, anthropic("rate_limit_error"), {"retry-after": "20", **buckets(
            requests_limit=50, requests_remaining=0, requests_reset=later(50))}),
        Row("a reset as a date", rate(50), 429, anthropic("rate_limit_error"), buckets(
            requests_remaining=0, requests_reset=later(50), tokens_remaining=10, tokens_reset=later(55))),
        Row("the latest of those used up", rate(59), 429, anthropic("rate_limit_error"), buckets(
            input_tokens_remaining=0, input_tokens_reset=later(31), output_tokens_remaining=0,
            output_tokens_reset=later(59), tokens_remaining=9, tokens_reset=later(200))),
        Row("beyond a minute: it is no bound but a date", rate(100), 429, anthropic("rate_limit_error"), buckets(
            input_tokens_remaining=0, input_tokens_reset=later(100))),
        Row("a reset a second ago", rate(0), 429, anthropic("rate_limit_error"), buckets(
            requests_remaining=0, requests_reset=later(-1))),
        Row("a subscription", rate(120), 429, anthropic("rate_limit_error"), buckets(
            unified_status="rejected", unified_reset=EPOCH + 120)),
        Row("neither", rate(), 429, anthropic("rate_limit_error")),
        Row("529", overload(), 529, anthropic("overloaded_error", "Overloaded")),
        Row("529 for a while", overload(13), 529, anthropic("overloaded_error", "Overloaded"), {"retry-after": "13"}),
        Row("overloaded as the first event", overload(), 200, events=refused(anthropic("overloaded_error")), **STREAM),
        Row("overloaded once it had started", overload(), 200,
            events=refused(anthropic("overloaded_error"), start), **STREAM),
        Row("a limit as the first event", rate(), 200, events=refused(anthropic("rate_limit_error"), start), **STREAM),
        Row("api_error as the first event", SERVER, 200, events=refused(anthropic("api_error")), **STREAM),
        Row("api_error", SERVER, 500, anthropic("api_error")),
        Row("timeout_error", SERVER, 504, anthropic("timeout_error")),
        Row("not_found_error", BACK, 404, anthropic("not_found_error", "model: claude-9")),
        Row("invalid_request_error", BACK, 400, anthropic("invalid_request_error", "max_tokens: required")),
        Row("request_too_large", BACK, 413, anthropic("request_too_large")),
        Row("too long a prompt", BACK, 400, anthropic("invalid_request_error", "prompt is too long: 9 > 8 maximum")),
        Row("authentication_error", auth(), 401, anthropic("authentication_error", "invalid x-api-key")),
        Row("permission_error", auth(), 403, anthropic("permission_error")),
    ])


def test_anthropic_money(t):
    """A month's spending is allowed again on the first of the next, by the provider's clock."""
    enforced = anthropic("rate_limit_error", details={"error_visibility": "user_facing",
                                                      "error_code": "enforced_spend_limit_reached"})
    reached = "You have reached your specified %sAPI usage limits. You will regain access on 2025-12-01 at 00:00 UTC."
    november, december = "Sun, 30 Nov 2025 20:00:00 GMT", "Wed, 31 Dec 2025 23:00:00 GMT"
    play(t, [
        Row("to the end of November", quota(4 * 3600), 429, enforced, date=november),
        Row("to the end of the year", quota(3600), 429, enforced, date=december),
        Row("the same with a wait", quota(1200), 429, enforced, {"retry-after": "1200"}, date=december),
        Row("long before the end: no longer than the longest", quota(21600), 429, enforced),
        Row("a limit of its own", quota(4 * 3600), 400, anthropic("invalid_request_error", reached % ""),
            date=november),
        Row("a workspace's", quota(4 * 3600), 400, anthropic("invalid_request_error", reached % "workspace "),
            date=november),
        Row("without a date", quota(), 400,
            anthropic("invalid_request_error", "You have reached your specified API usage limits.")),
        Row("billing_error", quota(), 402, anthropic("billing_error", "Your credit card was refused.")),
        Row("no credit", quota(), 400, anthropic("invalid_request_error", "Your credit balance is too low to access "
                                                 "the Anthropic API.")),
    ])


# Gemini.

def google(message="Resource has been exhausted (e.g. check quota).", quota_id=None, delay=None, code=429,
           status="RESOURCE_EXHAUSTED"):
    details = []
    if quota_id:
        details.append({"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [
            {"quotaMetric": "generativelanguage.googleapis.com/requests", "quotaId": quota_id, "quotaValue": "20"}]})
    if delay:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay})
    return {"error": {"code": code, "message": message, "status": status, **({"details": details} if details else {})}}


MINUTE, DAY = "GenerateRequestsPerMinutePerProjectPerModel", "GenerateRequestsPerDayPerProjectPerModel-FreeTier"


def test_gemini(t):
    exceeded = "You exceeded your current quota. "
    play(t, [
        Row("RetryInfo", rate(47), 429, google(exceeded + "Please retry in 46.3s.", MINUTE, "47s")),
        Row("RetryInfo with a fraction", rate(46.387), 429, google(exceeded, MINUTE, "46.387s")),
        Row("a limit as a bare object in a stream", rate(47), 200,
            events=json.dumps(google(exceeded, MINUTE, "47s")).encode() + b"\n\n", **STREAM),
        Row("the same over many lines", rate(47), 200,
            events=json.dumps(google(exceeded, MINUTE, "47s"), indent=2).encode(), **STREAM),
        Row("in a list", rate(47), 429, [google(exceeded, MINUTE, "47s")]),
        Row("the message", rate(46.3), 429, google(exceeded + "Please retry in 46.3s.")),
        Row("the message in ms", rate(0.8), 429, google(exceeded + "Please retry in 800.0ms.")),
        Row("by the minute, without a wait", rate(60), 429, google(exceeded, MINUTE)),
        Row("Vertex: no details", rate(), 429, google()),
        Row("by the day, with the delay of a minute", model_quota(), 429, google(exceeded, DAY, "47s")),
        Row("Daily", quota(), 429, google(exceeded, "InputTokensDailyFreeTier")),
        Row("by the day, in ten hours", model_quota(21600), 429,
            google(exceeded + "Please retry in 10h17m5.723541104s.", DAY)),
        Row("10h17m without a quota's name", quota(21600), 429,
            google(exceeded + "Please retry in 10h17m5.723541104s.")),
        Row("a long RetryInfo", model_quota(4000), 429, google(exceeded, MINUTE, "4000s")),
        Row("a limit of nothing", model_quota(), 429,
            google(exceeded + "Quota exceeded for metric: requests, limit: 0, model: gemini-2.5-pro. "
                   "Please retry in 20s.", MINUTE, "20s")),
        Row("in a 200", rate(47), 200, [google(exceeded, MINUTE, "47s")], **WHOLE),
        Row("a bare object in a stream", SERVER, 200, events=json.dumps(google(
            "An internal error", code=500, status="INTERNAL")).encode() + b"\n\n", **STREAM),
        Row("a bare object with line breaks", overload(), 200, events=json.dumps(google(
            "The model is overloaded.", code=503, status="UNAVAILABLE"), indent=2).encode(), **STREAM),
        Row("UNAVAILABLE", overload(), 503, google("The model is overloaded.", code=503, status="UNAVAILABLE")),
        Row("499", SERVER, 499, google("The operation was cancelled.", code=499, status="CANCELLED")),
        Row("INTERNAL", SERVER, 500, google("An internal error", code=500, status="INTERNAL")),
        Row("DEADLINE_EXCEEDED", SERVER, 504, google("Too late", code=504, status="DEADLINE_EXCEEDED")),
        Row("a bad key", auth(), 400, google("API key not valid. Please pass a valid API key.", code=400,
                                             status="INVALID_ARGUMENT")),
        Row("PERMISSION_DENIED", auth(), 403, google("No permission", code=403, status="PERMISSION_DENIED")),
        Row("a region", SERVER, 400, google("User location is not supported for the API use.", code=400,
                                            status="FAILED_PRECONDITION")),
        Row("INVALID_ARGUMENT", BACK, 400, google("Invalid value", code=400, status="INVALID_ARGUMENT")),
    ])


def test_gemini_interactions(t):
    play(t, [
        Row("rate_limit_exceeded", rate(), 429, error(code="rate_limit_exceeded")),
        Row("too_many_requests", rate(), 429, error(code="too_many_requests")),
        Row("quota_exceeded", quota(), 429, error(code="quota_exceeded")),
        Row("payment_required", quota(), 402, error(code="payment_required")),
        Row("service_unavailable", overload(), 503, error(code="service_unavailable")),
        Row("an error event", overload(), 200,
            events=sse({"event_type": "error", **error(code="service_unavailable")}), **STREAM),
        Row("a limit as an event", rate(), 200,
            events=sse({"event_type": "error", **error(code="too_many_requests")}), **STREAM),
    ])


# The others.

def test_deepseek(t):
    first = sse(choice(delta={"content": "hello"}, finish_reason="stop")) + b"data: [DONE]\n\n"
    play(t, [
        Row("too many at once", rate(), 429, error("Too many requests", "rate_limit_error", "rate_limit_exceeded")),
        Row("overloaded", overload(), 503, error("Service is too busy", "service_unavailable_error")),
        Row("500", SERVER, 500, error("Server error")),
        Row("no money", quota(), 402, error("Insufficient Balance", "unknown_error", "invalid_request_error")),
        Row("no money, once under way", quota(), 200, error("Insufficient Balance", "unknown_error")),
        Row("422", BACK, 422, error("Invalid parameters", "invalid_request_error")),
        Row("kept alive, then an error", SERVER, 200, events=b": keep-alive\n\n\n" + sse(error("no")), **STREAM),
        Row("kept alive, then an answer", ANSWER, 200, events=b": keep-alive\n\n: keep-alive\n\n" + first,
            dialects=["openai"], **STREAM),
        Row("blank lines, then an answer", ANSWER, 200, b"\n\n\n" + good("openai", False), dialects=["openai"],
            **WHOLE),
    ])


def router(code, message="Provider returned error", **metadata):
    return {"error": {"code": code, "message": message, **({"metadata": metadata} if metadata else {})}, "user_id": "u"}


def test_openrouter(t):
    held = router(402, "Credits are held by requests in flight", limit_source="openrouter_in_flight_budget")
    behind = "{\"error\":{\"message\":\"Rate limit reached. Please try again in 23s.\"}}"
    play(t, [
        Row("429 with Retry-After", rate(21), 429, router(429, provider_name="X"), {"Retry-After": "21"}),
        Row("what the provider behind said", rate(23), 429, router(429, provider_name="X", raw=behind)),
        Row("no credits", quota(), 402, router(402, "Insufficient credits")),
        Row("credits that are only held", rate(24), 402, held, {"Retry-After": "24"}),
        Row("held, but until when?", quota(), 402, held),
        Row("the model is down", SERVER, 502, router(502)),
        Row("no provider", overload(), 503, router(503, "No provider available")),
        Row("no provider for a while", overload(27), 503, router(503), {"Retry-After": "27"}),
        Row("408", SERVER, 408, router(408)),
        Row("flagged", BACK, 403, router(403, "Your chosen model requires moderation and your input was flagged",
                                         reasons=["violence"])),
        Row("403 otherwise", auth(), 403, router(403, "Key limit exceeded")),
        Row("502 in a 200", SERVER, 200, router(502)),
        Row("429 in a 200", rate(), 200, router(429)),
        Row("402 in a 200", quota(), 200, router(402, "Insufficient credits")),
        Row("503 in a 200", overload(), 200, router(503, "Overloaded")),
        Row("an error behind processing", SERVER, 200, events=b": OPENROUTER PROCESSING\n\n" + sse(router(502)),
            **STREAM),
        Row("an error in a choice's place", SERVER, 200, events=sse(
            {**choice(delta={"content": ""}, finish_reason="error"), **router("server_error")}), **STREAM),
    ])


def test_mistral(t):
    full = {"object": "error", "message": "Rate limit exceeded", "type": "rate_limited", "param": None, "code": "1300",
            "raw_status_code": 429}
    play(t, [
        Row("1300", rate(), 429, full, limits(remaining_req_minute=0, limit_req_minute=60)),
        Row("the short one", rate(), 429, {"message": "Requests rate limit exceeded"}),
        Row("Retry-After", rate(12), 429, full, {"Retry-After": "12"}),
        Row("its error in a 200", rate(), 200, full, **WHOLE),
        Row("Unauthorized", auth(), 401, {"message": "Unauthorized", "request_id": "1"}),
        Row("422", BACK, 422, {"object": "error", "message": {"detail": [{"type": "missing"}]},
                               "type": "invalid_request_error", "param": None, "code": None}),
        Row("500", SERVER, 500, {"object": "error", "message": "Service unavailable.", "type": "internal_server_error",
                                 "code": "1000"}),
    ])


def test_groq_and_cerebras(t):
    play(t, [
        Row("retry-after", rate(14), 429, tpm("13.9s"), {"retry-after": "14"}),
        Row("try again in 15.289s", rate(15.289), 429, tpm("15.289s")),
        Row("requests by the day", rate(60), 429, limited(), limits(
            remaining_requests=0, reset_requests="2m59.56s", remaining_tokens=5, reset_tokens="7.66s")),
        Row("tokens by the minute", rate(17.66), 429, limited(), limits(
            remaining_requests=9, reset_requests="2m59.56s", remaining_tokens=0, reset_tokens="17.66s")),
        Row("498", overload(), 498, error("Flex capacity exceeded", "internal_server_error", "capacity_exceeded")),
        Row("too large for any minute", BACK, 413, error("Request too large for model on tokens per minute "
                                                         "(TPM): Limit 6000, Requested 9000", "tokens",
                                                         "rate_limit_exceeded")),
        Row("Cerebras by the day", rate(60), 429, limited(), limits(
            remaining_requests_day=0, reset_requests_day="33011.382867")),
        Row("Cerebras by the minute", rate(11.39), 429, limited(), limits(
            remaining_tokens_minute=0, reset_tokens_minute="11.389001", remaining_requests_day=3,
            reset_requests_day="33011.38")),
    ])


# Every way to write a wait.

def after(value, name="Retry-After"):
    return {name: value}


def test_waits(t):
    plain, body, words = error(), error(retry_after=13.5), tpm("14s")
    play(t, [Row(name, outcome, 429, said, headers, date=date) for name, outcome, said, headers, date in [
        ("seconds", rate(12), plain, after("12"), DATE),
        ("seconds with a fraction", rate(12.25), plain, after("12.25"), DATE),
        ("a fraction of a ms counts as one", rate(12.251), plain, after("12.2501"), DATE),
        ("IMF-fixdate", rate(30), plain, after("Thu, 20 Nov 2025 12:00:30 GMT"), DATE),
        ("RFC 850", rate(31), plain, after("Thursday, 20-Nov-25 12:00:31 GMT"), DATE),
        ("asctime", rate(32), plain, after("Thu Nov 20 12:00:32 2025"), DATE),
        ("a date that is past", rate(0), plain, after("Thu, 20 Nov 2025 11:59:30 GMT"), DATE),
        ("a date far away", rate(300), plain, after("Fri, 20 Nov 2026 12:00:00 GMT"), DATE),
        ("nothing to wait for", rate(0), plain, after("0"), DATE),
        ("ms", rate(11.5), plain, after("11500", "retry-after-ms"), DATE),
        ("ms with a fraction", rate(11.501), plain, after("11500.2", "retry-after-ms"), DATE),
        ("ms of Azure", rate(11.6), plain, after("11600", "x-ms-retry-after-ms"), DATE),
        ("ms before seconds", rate(11), plain, {"Retry-After": "50", "Retry-After-Ms": "11000"}, DATE),
        ("bad ms, good seconds", rate(50), plain, {"Retry-After": "50", "Retry-After-Ms": "-3"}, DATE),
        ("a header before the body", rate(12), body, after("12"), DATE),
        ("the body", rate(13.5), body, {}, DATE),
        ("the body before its words", rate(13.5), error("try again in 14s", retry_after=13.5), {}, DATE),
        ("its words before the counters", rate(14), words, limits(remaining_tokens=0, reset_tokens="20s"), DATE),
        ("retry in", rate(100.5), error("Please retry in 1m40.5s"), {}, DATE),
        ("a reset in RFC 3339", rate(40), plain, limits(remaining_requests=0, reset_requests=later(40)), DATE),
        ("a reset in seconds of the epoch", rate(41), plain, limits(remaining_requests=0, reset_requests=EPOCH + 41),
         DATE),
    ]])


def test_absurd_waits(t):
    """No wait that cannot be meant: such a value is passed over, and a long one is cut to the longest allowed."""
    plain = error()
    play(t, [Row("Retry-After: %s" % value, rate(), 429, plain, after(value)) for value in (
        "-5", "soon", "NaN", "inf", "1e9", "0x10", "99999999999999", "5 minutes", "1,5", "", "12 34",
        "Thu, 40 Nov 2025 12:00:30 GMT", "2025-11-20")] + [
        Row("a large one", rate(300), 429, plain, after("1000000000")),
        Row("large ms", rate(300), 429, plain, after("9999999999", "retry-after-ms")),
        Row("absurd, but the body knows", rate(13), 429, error(retry_after=13), after("soon")),
        Row("a negative one in the body", rate(), 429, error(retry_after=-3)),
        Row("a text in the body", rate(), 429, error(retry_after="12")),
        Row("an exponent in the body", rate(), 429, b'{"error": {"message": "no", "retry_after": 1e3}}'),
        Row("a bad delay", rate(), 429, google(delay="-7s")),
        Row("a bad span", rate(), 429, tpm("1e9s")),
        Row("a bad reset", rate(), 429, plain, limits(remaining_requests=0, reset_requests="soon")),
        Row("a negative reset", rate(), 429, plain, limits(remaining_requests=0, reset_requests="-12s")),
        Row("a huge body", rate(12), 429, b" " * 30000 + json.dumps(error(retry_after=12)).encode()),
        Row("a server error's wait is not asked for", SERVER, 500, plain, after("30")),
    ])


def test_dates_without_a_date(t):
    """An upstream that does not say what time it is: then ours must do."""
    def soon():
        return formatdate(time.time() + 100, usegmt=True)
    first = t.upstream(lambda request, _: answer(429, error(), {"Retry-After": soon()}))
    gw = t.gateway([endpoint("first", first), endpoint("second", t.upstream(answering), priority=2)])
    began = time.monotonic()
    ok(gw.ask(), "second")
    row, = gw.order("cooldown", "list").json["cooldowns"]
    passed = (time.monotonic() - began) * 1000
    assert 100000 - 1000 - passed - 2 <= row["until_ms"] <= 100000, "until %s" % row


def test_domains(t):
    """A limit is of the model on its endpoint, a quota of the account, a credential of everybody who has it."""
    said = {}
    one = t.upstream(lambda request, conn: said.get("one") or answering(request, conn))
    two, other = t.upstream(answering), t.upstream(answering)
    gw = t.gateway([endpoint("one", one, account="acme", key="env:ACME"),
                    endpoint("two", two, account="acme", key="env:ACME", priority=2),
                    endpoint("other", other, priority=3)], env={"ACME": "sk-acme-0001"},
                   models={model: {"endpoints": ["one", "two", "other"]} for model in ("m1", "m2")})

    def asked(body, status=429):
        """Who answers m1 when `one` says this, and who answers m2 afterwards, and m1 again."""
        said["one"] = answer(status, body)
        first = ok(gw.ask("m1")).endpoint
        said.clear()
        found = (first, ok(gw.ask("m2")).endpoint, ok(gw.ask("m1")).endpoint)
        gw.order("cooldown", "clear", "--all")
        gw.order("breaker", "reset", "--all")
        return found
    equal(asked(limited()), ("two", "one", "two"), "a limit")
    equal(asked(error(code="insufficient_quota")), ("other", "other", "other"), "quota")
    equal(asked(error(), 401), ("other", "other", "other"), "a refused credential")
    equal(asked(anthropic("overloaded_error"), 529), ("two", "one", "one"), "an overload without a wait")
    equal(asked(error(), 500), ("two", "one", "one"), "a server's error")


def test_never_too_early(t):
    """The next try comes when the wait is over, never before: by the upstream's own clock."""
    waits = {"ms": ({"retry-after-ms": "350"}, 350), "seconds": ({"retry-after": "0.4"}, 400),
             "body": ({}, 450), "reset": (limits(remaining_requests=0, reset_requests="500ms"), 500),
             "overload": ({"retry-after": "0.3"}, 300)}
    seen = {name: [] for name in waits}

    def script(request, conn):
        name = request.target.split("/")[1]
        seen[name].append(request.at)
        if len(seen[name]) > 1:
            return answering(request, conn)
        headers, _ = waits[name]
        said = error("no") if name != "body" else error(retry_after=0.45)
        return answer(503 if name == "overload" else 429, said, headers)
    first = t.upstream(script)
    gw = t.gateway([endpoint(name, "unix:%s:/%s/v1" % (first.where, name)) for name in waits] +
                   [endpoint("second", t.upstream(answering), priority=2)],
                   models={name: {"endpoints": [name, "second"]} for name in waits})
    names = list(waits)
    crowd(len(names), lambda n: wait_until(lambda: ok(gw.ask(names[n])).endpoint == names[n], 20, names[n]))
    for name, (_, least) in waits.items():
        gap = (seen[name][1] - seen[name][0]) * 1000
        assert gap >= least - 1, "%s: asked again after %.1f ms of %d" % (name, gap, least)


def test_nobody_else(t):
    """With nobody to fail over to the client learns what it is, in the gateway's words, and when to come back."""
    said = {}
    only = t.upstream(lambda request, _: said["it"])
    gw = t.gateway([endpoint("only", only)])
    for stream in (False, True):
        said["it"] = answer(429, limited(), {"Retry-After": "100"})
        told = failed(gw.ask(stream=stream), 429, "rate_limit_exceeded", "rate_limit_error")
        assert 99 < told["retry_after"] <= 100, "retry_after: %s" % told
        gw.order("cooldown", "clear", "--all")
        said["it"] = failure(402, "Insufficient Balance", "invalid_request_error")
        told = failed(gw.ask(stream=stream), 429, "rate_limit_exceeded", "rate_limit_error")
        assert 899 < told["retry_after"] <= 900, "retry_after: %s" % told
        gw.order("cooldown", "clear", "--all")
        said["it"] = failure(401, "Incorrect API key provided: sk-secret", "invalid_api_key")
        told = failed(gw.ask(stream=stream), 502, "all_endpoints_failed", "server_error")
        assert "401" in told["message"] and "sk-secret" not in told["message"], "the message: %s" % told
        gw.order("cooldown", "clear", "--all")
    equal(only.count, 6, "tries upstream")
