"""What providers' records say of how often a request was tried, and when: functions of lists of rehearsal.Call."""

import collections

# Faults after which a stream has begun: whatever is asked next for that request is a replay.
BEGUN = ("cut@3", "stall@3", "error-in-200@3", "quota-in-200@2")
LEFT = 0.1  # seconds; what a gateway gave up may be seen so much later by a simulator


def kind(call):
    """The fault without its probability."""
    return (call.fault or "none").split(":")[0]


def swallowed(call):
    """Whether a kept connection ended under this request: it is sent once more, and that is no further try."""
    return call.reused and call.status == 0 and call.how in ("reset", "closed")


def tries(calls):
    """How many by (request, model), and by (request, model, provider)."""
    by_model, by_provider = collections.Counter(), collections.Counter()
    for call in calls:
        if not swallowed(call):
            by_model[call.id, call.model] += 1
            by_provider[call.id, call.model, call.sim] += 1
    return by_model, by_provider


def second_tries(calls):
    """Tries at a provider that has had the request before, and those that follow a stream that had begun."""
    seen, replaced, found = set(), set(), []
    for call in sorted(calls, key=lambda call: call.start):
        if swallowed(call):
            continue
        place = (call.id, call.model, call.sim)
        if place in seen or call.id in replaced:
            found.append(call)
        seen.add(place)
        if call.streamed and kind(call) in BEGUN:
            replaced.add(call.id)
    return found


def at_once(calls):
    """(moment, how many are under way then) for each beginning; what ends at that moment has ended."""
    marks = []
    for call in calls:
        end = call.end - LEFT if call.how == "aborted" else call.end
        marks += [(call.start, 1), (max(call.start + 1e-6, end), -1)]
    under_way, found = 0, []
    for moment, change in sorted(marks):
        under_way += change
        if change > 0:
            found.append((moment, under_way))
    return found
