#include "gatewayd/demo.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatewayd/log.h"
#include "gatewayd/master.h"

/*
 * The simulators are the same llmsim that tests use, on Unix sockets in a directory of the demo's own, so the demo
 * needs no port but the gateway's. They die with the master: the kernel sees to it, however the master ends.
 */

enum { SIMS = 3, PORT = 8080 };

static const char *const names[SIMS] = {"us-east", "eu-west", "singapore"};

static char directory[64]; /* on memory where there is one: a region belongs there */
static pid_t sims[SIMS];

static const char config_format[] =
    "listen:\n"
    "  - tcp: 127.0.0.1:%d\n"
    "  - {unix: %s/gatewayd.sock, mode: \"0666\"}\n"
    "state: %s/state\n"
    "workers: 2\n"
    "%s"
    "log: {access: off, format: text}\n"
    "endpoints:\n"
    "  - {name: us-east, url: \"unix:%s/us-east.sock:/v1\", key: none, weight: 2}\n"
    "  - {name: eu-west, url: \"unix:%s/eu-west.sock:/v1\", key: none}\n"
    "  - {name: singapore, url: \"unix:%s/singapore.sock:/v1\", key: none, priority: 2}\n";

/* A program of ours: beside our own binary, in a build tree beside its directory, else wherever the shell finds it. */
static const char *tool(const char *name, char path[PATH_MAX])
{
    static const char *const places[] = {"", "../tools/"};
    char self[PATH_MAX], place[PATH_MAX + 32];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(self, '/');
    for (size_t i = 0; slash && i < sizeof places / sizeof *places; i++) {
        slash[1] = '\0';
        snprintf(place, sizeof place, "%s%s%s", self, places[i], name);
        if (access(place, X_OK) == 0 && realpath(place, path))
            return path;
    }
    return name;
}

static void exec_llmsim(const char *const argv[])
{
    char path[PATH_MAX];
    execvp(tool("llmsim", path), (char *const *)argv);
    fprintf(stderr, "gatewayd: cannot find llmsim beside gatewayd or in PATH\n");
    _exit(127);
}

static int start_sim(int index, char *why, size_t size)
{
    char listener[128];
    int ready[2];
    char line[256];
    snprintf(listener, sizeof listener, "unix:%s/%s.sock", directory, names[index]);
    if (pipe2(ready, O_CLOEXEC) != 0) {
        snprintf(why, size, "cannot make a pipe: %s", strerror(errno));
        return 1;
    }
    sims[index] = fork();
    if (sims[index] == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        signal(SIGINT, SIG_IGN); /* Ctrl-C is the master's; it ends us when it is done */
        dup2(ready[1], STDOUT_FILENO);
        exec_llmsim((const char *const[]){"llmsim", "-l", listener, "--name", names[index], "--ttft", "150ms", "--rate",
                                          "40/s", "--latency", "200ms", NULL});
    }
    close(ready[1]);
    ssize_t n = sims[index] > 0 ? read(ready[0], line, sizeof line) : -1; /* its first line: it listens */
    close(ready[0]);
    if (n <= 0) {
        snprintf(why, size, "the simulated endpoint %s did not start", names[index]);
        return 1;
    }
    chmod(listener + strlen("unix:"), 0666); /* the workers may run as another user */
    return 0;
}

static void clean_up(void)
{
    static const char *const left[] = {"state", "state.lock", "state.report", "state.export", "gatewayd.sock",
                                       "gatewayd.yaml"};
    char path[256];
    for (int i = 0; i < SIMS; i++) {
        if (sims[i] <= 0)
            continue;
        kill(sims[i], SIGTERM);
        waitpid(sims[i], NULL, 0);
        snprintf(path, sizeof path, "%s/%s.sock", directory, names[i]);
        unlink(path);
    }
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, left[i]);
        unlink(path);
    }
    rmdir(directory);
}

static void greet(void)
{
    const char *json = "-H 'Content-Type: application/json' "
                       "-d '{\"model\":\"demo\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]";
    char path[PATH_MAX];
    printf("\ngatewayd is serving three simulated endpoints. Try, from another terminal:\n\n");
    printf("  curl http://127.0.0.1:%d/v1/chat/completions %s}'\n\n", PORT, json);
    printf("  curl --unix-socket %s/gatewayd.sock http://localhost/v1/chat/completions %s}'\n\n", directory, json);
    printf("  curl -N http://127.0.0.1:%d/v1/chat/completions %s,\"stream\":true}'\n\n", PORT, json);
    printf("  %s -c %s/gatewayd.yaml status\n\nCtrl-C stops everything.\n\n", tool("gatewayctl", path), directory);
    fflush(stdout);
}

/* For whoever asks `gatewayctl` about models; the daemon itself has it in memory. */
static int write_config(const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/gatewayd.yaml", directory);
    FILE *file = fopen(path, "we");
    if (file && fputs(text, file) >= 0 && fchmod(fileno(file), 0644) == 0 && fclose(file) == 0)
        return 0;
    log_error("cannot write %s: %s", path, strerror(errno));
    return 1;
}

static int start_all(struct conf **conf, char *text, size_t text_size)
{
    char why[256];
    struct conf_problems problems = {0};
    snprintf(directory, sizeof directory, "%s/gatewayd-demo.XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(directory) || chmod(directory, 0755) != 0) {
        log_error("cannot make a directory for the demo: %s", strerror(errno));
        return 1;
    }
    for (int i = 0; i < SIMS; i++)
        if (start_sim(i, why, sizeof why) != 0) {
            log_error("%s", why);
            return 1;
        }
    snprintf(text, text_size, config_format, PORT, directory, directory, geteuid() == 0 ? "user: nobody\n" : "",
             directory, directory, directory);
    if (conf_parse("demo", str_of(text), conf, &problems) == 0)
        return write_config(text);
    conf_problems_print(&problems, "demo", stderr);
    conf_problems_fini(&problems);
    return 1;
}

int demo_run(void)
{
    static char text[4096];
    struct conf *conf = NULL;
    const struct master_options options = {.file = "demo", .text = text, .started = greet};
    int rc = start_all(&conf, text, sizeof text);
    if (rc == 0)
        rc = master_run(&options, conf);
    else
        conf_free(conf);
    clean_up();
    return rc;
}
