/*
 * llmsim: an LLM provider that fails on command. It answers the OpenAI and Anthropic APIs with text that can be checked
 * to the byte, enforces rate limits, goes wrong in every way real providers do, and remembers what it was asked. One
 * process, one thread, one loop: what it says about the requests it had at once is exact.
 */

#include <getopt.h>
#include <signal.h>
#include <sys/resource.h>

#include "tools/llmsim/conn.h"
#include "tools/llmsim/listen.h"
#include "tools/llmsim/record.h"
#include "tools/llmsim/spec.h"

#ifndef GATEWAYD_VERSION
#define GATEWAYD_VERSION "0.1.0"
#endif

enum { LISTENERS_MAX = 16 };
enum { OPT_NAME = 256, OPT_RPM, OPT_TPM, OPT_LATENCY, OPT_TTFT, OPT_TOKENS, OPT_RATE, OPT_FAULT, OPT_SEED, OPT_CONTROL,
       OPT_ANSWER_BYTES, OPT_NO_LOG, OPT_RECORD };

static const struct option options[] = {
    {"listen", required_argument, NULL, 'l'},
    {"control", required_argument, NULL, OPT_CONTROL},
    {"name", required_argument, NULL, OPT_NAME},
    {"rpm", required_argument, NULL, OPT_RPM},
    {"tpm", required_argument, NULL, OPT_TPM},
    {"latency", required_argument, NULL, OPT_LATENCY},
    {"ttft", required_argument, NULL, OPT_TTFT},
    {"tokens", required_argument, NULL, OPT_TOKENS},
    {"rate", required_argument, NULL, OPT_RATE},
    {"answer-bytes", required_argument, NULL, OPT_ANSWER_BYTES},
    {"fault", required_argument, NULL, OPT_FAULT},
    {"seed", required_argument, NULL, OPT_SEED},
    {"no-log", no_argument, NULL, OPT_NO_LOG},
    {"record", required_argument, NULL, OPT_RECORD},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "usage: llmsim -l ADDRESS [OPTION]...\n"
    "An LLM provider for tests: OpenAI and Anthropic APIs, rate limits, and faults on command.\n"
    "\n"
    "  -l, --listen ADDRESS   serve here: HOST:PORT (0: any free port) or unix:PATH; repeatable\n"
    "      --control ADDRESS  serve /sim here as well, even while down\n"
    "      --name NAME        in the x-sim-name header (llmsim)\n"
    "      --rpm N, --tpm N   requests and tokens a minute that are granted (no limit)\n"
    "      --latency TIME     until an unstreamed answer (0)\n"
    "      --ttft TIME        until a stream's first token (0)\n"
    "      --tokens N         in an answer (60)\n"
    "      --rate N/s         tokens a second of a stream (0: all at once)\n"
    "      --answer-bytes N   length of the text of an unstreamed answer, instead of --tokens\n"
    "      --fault SPEC       what goes wrong, and when: 503, 429/retry-after=2:50%, cut@40, 503@10s..70s, reset#3;\n"
    "                         repeatable\n"
    "      --seed N           of the random choices (1)\n"
    "      --no-log           do not keep the last requests\n"
    "      --record FILE      append a line of JSON for every request that ended\n"
    "  -V, --version          print the version\n"
    "  -h, --help             print this\n"
    "\n"
    "GET /sim tells what was seen, POST /sim changes it while it runs; llmsim(1) has all of it.\n";

struct arguments {
    const char *addresses[LISTENERS_MAX];
    const char *control;
    const char *record;
    unsigned count;
};

static int usage(const char *what, const char *value)
{
    fprintf(stderr, "llmsim: %s '%s'; llmsim -h shows how\n", what, value);
    return 2;
}

static bool number(const char *text, uint64_t max, uint64_t *out)
{
    return spec_count(str_of(text), max, out);
}

static int add_fault(struct sim *sim, const char *text)
{
    char why[600];

    if (sim->faults.count == FAULTS_MAX)
        return usage("too many faults, at", text);
    if (!fault_parse(text, &sim->faults.list[sim->faults.count], why, sizeof(why))) {
        fprintf(stderr, "llmsim: %s\n", why);
        return 2;
    }
    sim->faults.count++;
    return 0;
}

static int set_name(struct sim *sim, const char *name)
{
    for (const char *c = name; *c; c++) {
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
            return usage("a name has no blanks or special characters:", name);
    }
    sim->name = name;
    return strlen(name) <= 64 ? 0 : usage("a name has at most 64 characters:", name);
}

/* One option. 0, or the exit status after a message. */
static int take_option(struct sim *sim, struct arguments *args, int option, const char *value)
{
    struct settings *s = &sim->settings;
    uint64_t n = 0;

    switch (option) {
    case 'l':
        if (args->count == LISTENERS_MAX)
            return usage("too many listeners, at", value);
        args->addresses[args->count++] = value;
        return 0;
    case OPT_CONTROL:
        args->control = value;
        return 0;
    case OPT_NAME:
        return set_name(sim, value);
    case OPT_RECORD:
        args->record = value;
        return 0;
    case OPT_FAULT:
        return add_fault(sim, value);
    case OPT_NO_LOG:
        sim->journal.off = true;
        return 0;
    case OPT_LATENCY:
        return spec_duration(str_of(value), &s->latency_ms) ? 0 : usage("--latency wants a time as 300ms, not", value);
    case OPT_TTFT:
        return spec_duration(str_of(value), &s->ttft_ms) ? 0 : usage("--ttft wants a time as 300ms, not", value);
    case OPT_RATE:
        return spec_rate(str_of(value), &s->rate) ? 0 : usage("--rate wants a rate like 50/s, not", value);
    case OPT_RPM:
    case OPT_TPM:
        if (!number(value, UINT32_MAX, &n))
            return usage("--rpm and --tpm want a whole number, not", value);
        limiter_set(option == OPT_RPM ? &sim->limiter.requests : &sim->limiter.tokens, (double)n, sim_now_ms());
        return 0;
    case OPT_TOKENS:
        if (!number(value, ANSWER_TOKENS_MAX, &n))
            return usage("--tokens wants a whole number up to 1000000, not", value);
        s->tokens = (unsigned)n;
        return 0;
    case OPT_ANSWER_BYTES:
        if (!number(value, ANSWER_BYTES_MAX, &n))
            return usage("--answer-bytes wants a whole number up to 8388608, not", value);
        s->answer_bytes = n;
        return 0;
    case OPT_SEED:
        return number(value, UINT64_MAX, &sim->seed) ? 0 : usage("--seed wants a whole number, not", value);
    default:
        fputs("llmsim: llmsim -h shows how\n", stderr);
        return 2;
    }
}

/* -1 to go on, else the exit status. */
static int read_arguments(struct sim *sim, struct arguments *args, int argc, char **argv)
{
    int option, r;

    while ((option = getopt_long(argc, argv, "l:Vh", options, NULL)) != -1) {
        if (option == 'V') {
            puts("llmsim " GATEWAYD_VERSION);
            return 0;
        }
        if (option == 'h') {
            fputs(help, stdout);
            return 0;
        }
        r = take_option(sim, args, option, optarg);
        if (r)
            return r;
    }
    if (optind < argc)
        return usage("did not expect", argv[optind]);
    if (args->count == 0) {
        fputs("llmsim: where to listen? Give -l 127.0.0.1:9100 or -l unix:PATH\n", stderr);
        return 2;
    }
    return -1;
}

static void on_signal(struct ev_loop *loop, struct ev_signal *w, int events)
{
    (void)w, (void)events;
    ev_break(loop, EVBREAK_ALL);
}

/* Hundreds of streams are ordinary; the usual thousand descriptors are not enough for them. */
static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int open_all(struct sim *sim, const struct arguments *args, struct listener *listeners)
{
    unsigned count = args->count + (args->control ? 1 : 0);
    char why[300];

    for (unsigned i = 0; i < count; i++) {
        bool control = i == args->count;
        const char *address = control ? args->control : args->addresses[i];
        int r = listen_open(&listeners[i], sim, address, control, why, sizeof(why));
        if (r) {
            fprintf(stderr, "llmsim: %s\n", why);
            return r == 1 ? 2 : 1;
        }
    }
    for (unsigned i = 0; i < count; i++)
        printf("llmsim %s on %s\n", i == args->count ? "control" : "listening", listeners[i].url);
    return fflush(stdout) == 0 ? 0 : 1;
}

static int open_record(struct sim *sim, const char *path)
{
    int r = path ? record_open(sim, path) : 0;

    if (r)
        fprintf(stderr, "llmsim: cannot append to '%s': %s\n", path, strerror(-r));
    return r ? 1 : 0;
}

/* Before anyone is told that this process serves, so that whoever was told can end it cleanly. */
static void watch_signals(struct sim *sim)
{
    static struct ev_signal term, interrupt;

    ev_signal_init(&term, on_signal, SIGTERM);
    ev_signal_init(&interrupt, on_signal, SIGINT);
    ev_signal_start(sim->loop, &term);
    ev_signal_start(sim->loop, &interrupt);
}

int main(int argc, char **argv)
{
    static struct sim sim = {.name = "llmsim", .settings = {.tokens = 60}, .seed = 1};
    static struct listener listeners[LISTENERS_MAX + 1];
    struct arguments args = {0};
    int status = read_arguments(&sim, &args, argc, argv);

    if (status >= 0)
        return status;
    signal(SIGPIPE, SIG_IGN);
    raise_limit();
    sim.random = sim.seed;
    sim.has_control = args.control != NULL;
    sim.faults.since_ms = sim_now_ms();
    sim.loop = ev_default_loop(EVFLAG_AUTO);
    if (!sim.loop) {
        fputs("llmsim: no event loop can be had from this system\n", stderr);
        return 1;
    }
    watch_signals(&sim);
    /* Streams may wait this much longer for their next token, so that one wakeup serves many of them. */
    ev_set_timeout_collect_interval(sim.loop, 0.001);
    status = open_record(&sim, args.record);
    if (status == 0)
        status = open_all(&sim, &args, listeners);
    if (status == 0)
        ev_run(sim.loop, 0);
    conn_fini_all(&sim);
    for (unsigned i = 0; i <= LISTENERS_MAX; i++)
        listen_close(&listeners[i]);
    words_fini(&sim.words);
    buf_fini(&sim.scratch);
    journal_forget(&sim.journal);
    record_close(&sim);
    ev_loop_destroy(sim.loop);
    return status;
}
