/*
 * gatewayctl, the operator's tool: it maps the region that the gateway's processes share, shows what stands there and
 * changes it by the same operations they use. It needs no running daemon and asks none for anything, so it works when
 * every process of the gateway is wedged, which is when it is wanted most.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gatewayd/str.h"
#include "tools/gatewayctl/args.h"
#include "tools/gatewayctl/command.h"
#include "tools/gatewayctl/complete.h"
#include "tools/gatewayctl/out.h"

#ifndef GATEWAYD_VERSION
#define GATEWAYD_VERSION "0.1.0"
#endif

struct command {
    const char *name;
    const char *synopsis;
    const char *help;
    int (*run)(const struct ctl *ctl, int argc, char **argv);
};

#define COMMAND_ROW(name, synopsis, help) {#name, synopsis, help, command_##name},
static const struct command commands[] = {COMMANDS(COMMAND_ROW)};
#undef COMMAND_ROW

enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

static const char usage_line[] = "gatewayctl [--state FILE] [-c CONFIG] [--json] COMMAND";

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *near = NULL;
    unsigned best = 3;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        unsigned distance = str_distance(str_of(name), str_of(commands[i].name));
        if (distance < best) {
            best = distance;
            near = commands[i].name;
        }
    }
    if (near)
        return out_usage(NULL, "there is no command %s; did you mean %s?", name, near);
    return out_usage(NULL, "there is no command %s", name);
}

static void help_json(const struct command *only)
{
    json_t *list = show_must(json_array());
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (!only || only == &commands[i])
            json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", commands[i].name, "synopsis",
                                                  commands[i].synopsis, "help", commands[i].help));
    out_json(json_pack("{s:o}", "commands", list));
}

static void print_synopsis(const struct command *command)
{
    printf("%s%s%s", command->name, command->synopsis[0] ? " " : "", command->synopsis);
}

static void help_text(const struct command *only)
{
    if (only) {
        fputs("usage: gatewayctl [--state FILE] [-c CONFIG] [--json] ", stdout);
        print_synopsis(only);
        printf("\n%s\n", only->help);
        return;
    }
    printf("usage: %s\n\n", usage_line);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        fputs("  ", stdout);
        print_synopsis(&commands[i]);
        printf("\n        %s\n", commands[i].help);
    }
    puts("\nThe region is at --state, else $GATEWAYD_STATE, else where CONFIG says, else the default place.\n"
         "A NAME is an endpoint, with all its models, or endpoint/model. DURATION: 250ms, 5s, 10m, 2h.\n"
         "Exit status: 0 done, 1 the answer is no, 2 usage, 3 no region or not permitted, 4 no such name.");
}

int command_help(const struct ctl *ctl, int argc, char **argv)
{
    if (args_take(&argc, argv, NULL, 0, argv[0]) != 0 || args_operands(argc, argv, 0, 1) != 0)
        return CTL_USAGE;
    const struct command *only = NULL;
    if (argc > 1 && !(only = find_command(argv[1])))
        return unknown_command(argv[1]);
    if (ctl->json)
        help_json(only);
    else
        help_text(only);
    return CTL_DONE;
}

static int print_version(const struct ctl *ctl)
{
    if (ctl->json)
        out_json(json_pack("{s:s}", "version", GATEWAYD_VERSION));
    else
        puts("gatewayctl " GATEWAYD_VERSION);
    return CTL_DONE;
}

static int run(int argc, char **argv)
{
    struct ctl ctl = {0};
    bool help = false, version = false;
    const struct args_option options[] = {
        {"--state", NULL, NULL, &ctl.state}, {"--config", "-c", NULL, &ctl.config}, {"--json", NULL, &ctl.json, NULL},
        {"--help", "-h", &help, NULL},       {"--version", "-V", &version, NULL},
    };
    if (args_take(&argc, argv, options, sizeof(options) / sizeof(options[0]), NULL) != 0)
        return CTL_USAGE;
    if (version)
        return print_version(&ctl);
    if (argc < 2) {
        char *words[] = {(char[]){"help"}, NULL};
        return help ? command_help(&ctl, 1, words) : out_usage(NULL, "a command is missing: %s", usage_line);
    }
    const struct command *command = find_command(argv[1]);
    if (!command)
        return argv[1][0] == '-' ? out_usage(NULL, "there is no option %s", argv[1]) : unknown_command(argv[1]);
    if (help) {
        char *words[] = {(char[]){"help"}, argv[1], NULL};
        return command_help(&ctl, 2, words);
    }
    return command->run(&ctl, argc - 1, argv + 1);
}

/* A closed descriptor of the first three would be given to the region; and writing to it must fail, not vanish. */
static void fill_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", O_RDONLY);
}

int main(int argc, char **argv)
{
    fill_standard_descriptors();
    /* A reader who leaves must not end us half way through a change; writing to it fails, and is noticed at the end. */
    signal(SIGPIPE, SIG_IGN);
    if (argc > 1 && strcmp(argv[1], "__complete") == 0)
        return out_finish(complete(argc - 2, argv + 2));
    return out_finish(run(argc, argv));
}
