/*
 * The synopses of the table of commands are the grammar: words in lower case stand for themselves, "--all" and its kin
 * are options, what is in upper case is a placeholder, "[" and "]" enclose what may be left out, " | " separates the
 * forms of a command and "|" the choices for one word. So a new command completes as soon as it has its row.
 */

#include "tools/gatewayctl/complete.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatewayd/str.h"

enum { FORMS = 10, WORDS = 16, WORD_SIZE = 64, PATH_SIZE = 4096 };

/* One word of a synopsis. */
struct word {
    char text[WORD_SIZE];
    bool option;
    bool valued; /* an option; the next word is its value */
    bool value;  /* of the option before */
};

struct form {
    struct word words[WORDS];
    size_t count;
};

struct grammar {
    struct form forms[FORMS];
    size_t count;
};

/* The line so far. */
struct line {
    struct ctl ctl;
    const char *command; /* NULL: not said yet */
    const char *synopsis;
    const char *operands[WORDS];
    size_t count;
    const char *awaiting; /* the option whose value comes next, or NULL */
    const char *begun;
};

#define COMPLETE_ROW(name, synopsis, help) {#name, synopsis, help},
static const struct {
    const char *name, *synopsis, *help;
} commands[] = {COMMANDS(COMPLETE_ROW)};
#undef COMPLETE_ROW

enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

static const char everywhere[] = "[--state FILE] [-c CONFIG] [--config CONFIG] [--json] [--help]";

static void add_word(struct form *form, struct str token)
{
    if (form->count == WORDS || token.len == 0)
        return;
    struct word *word = &form->words[form->count], *before = form->count ? word - 1 : NULL;
    bool ends = token.at[token.len - 1] == ']';
    while (token.len > 0 && token.at[0] == '[')
        token = (struct str){token.at + 1, token.len - 1};
    while (token.len > 0 && token.at[token.len - 1] == ']')
        token.len--;
    snprintf(word->text, sizeof(word->text), "%.*s", (int)token.len, token.at);
    word->option = word->text[0] == '-';
    word->valued = word->option && !ends;
    word->value = before && before->valued && !word->option;
    if (before && before->valued && word->option)
        before->valued = false;
    form->count++;
}

static void parse(struct grammar *grammar, const char *synopsis)
{
    *grammar = (struct grammar){.count = 1};
    for (const char *at = synopsis; *at;) {
        size_t length = strcspn(at, " ");
        if (length == 1 && *at == '|' && grammar->count < FORMS)
            grammar->count++;
        else
            add_word(&grammar->forms[grammar->count - 1], (struct str){at, length});
        at += length + strspn(at + length, " ");
    }
}

/* The next of the choices for one word; false at the end. */
static bool next_choice(const char **rest, char out[WORD_SIZE])
{
    size_t length = strcspn(*rest, "|");
    if (**rest == '\0')
        return false;
    snprintf(out, WORD_SIZE, "%.*s", (int)length, *rest);
    *rest += length + ((*rest)[length] == '|');
    return true;
}

static bool is_placeholder(const char *word)
{
    return isupper((unsigned char)word[0]);
}

/* Whether a typed word can stand where the grammar has this one. */
static bool agrees(const struct word *word, const char *typed)
{
    char choice[WORD_SIZE];
    for (const char *rest = word->text; next_choice(&rest, choice);)
        if (is_placeholder(choice) || strcmp(choice, typed) == 0)
            return true;
    return false;
}

/* The form's word for the operand of that number; NULL when it has not so many, or those before do not agree. */
static const struct word *operand_of(const struct form *form, const struct line *line)
{
    size_t number = 0;
    for (size_t i = 0; i < form->count; i++) {
        const struct word *word = &form->words[i];
        if (word->option || word->value)
            continue;
        if (number == line->count)
            return word;
        if (!agrees(word, line->operands[number++]))
            return NULL;
    }
    return NULL;
}

/* Whether what was typed so far agrees with the form. */
static bool is_open(const struct form *form, const struct line *line)
{
    size_t number = 0;
    for (size_t i = 0; i < form->count && number < line->count; i++) {
        const struct word *word = &form->words[i];
        if (!word->option && !word->value && !agrees(word, line->operands[number++]))
            return false;
    }
    return number == line->count;
}

static void offer_word(const struct line *line, const char *text)
{
    char choice[WORD_SIZE];
    for (const char *rest = text; next_choice(&rest, choice);) {
        if (is_placeholder(choice))
            complete_value(&line->ctl, line->command, choice, line->begun);
        else if (choice[0] != '-' || line->begun[0] == '-')
            complete_offer(choice, line->begun, NULL);
    }
}

static void offer_options(const struct form *form, const struct line *line)
{
    for (size_t i = 0; i < form->count; i++) {
        char choice[WORD_SIZE];
        for (const char *rest = form->words[i].text; next_choice(&rest, choice);)
            if (choice[0] == '-')
                complete_offer(choice, line->begun, NULL);
    }
}

/* The word for the value of an option; NULL when the option is not there or has none. */
static const struct word *value_of(const struct grammar *grammar, const char *option)
{
    for (size_t f = 0; f < grammar->count; f++)
        for (size_t i = 0; i + 1 < grammar->forms[f].count; i++)
            if (grammar->forms[f].words[i].valued && strcmp(grammar->forms[f].words[i].text, option) == 0)
                return &grammar->forms[f].words[i + 1];
    return NULL;
}

static const struct word *awaits(const struct line *line, struct grammar *grammar, const char *option)
{
    parse(grammar, everywhere);
    const struct word *word = value_of(grammar, option);
    if (word || !line->synopsis)
        return word;
    parse(grammar, line->synopsis);
    return value_of(grammar, option);
}

static void find_command(struct line *line, const char *name)
{
    line->command = name;
    line->synopsis = "";
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].name, name) == 0)
            line->synopsis = commands[i].synopsis;
}

/* The value in a word of its own option, as in "--state=FILE"; NULL when it is another one, or has none. */
static const char *inlined(const char *word, const char *option)
{
    size_t length = strlen(option);
    return strncmp(word, option, length) == 0 && word[length] ? word + length : NULL;
}

/* A shell that has not run the line yet has not opened "~/" either. */
static const char *at_home(const char *path, char out[PATH_SIZE])
{
    const char *home = getenv("HOME");
    if (!path || strncmp(path, "~/", 2) != 0 || !home)
        return path;
    snprintf(out, PATH_SIZE, "%s%s", home, path + 1);
    return out;
}

static void read_line(struct line *line, int argc, char **argv)
{
    struct grammar grammar;
    line->begun = argc > 0 ? argv[argc - 1] : "";
    for (int i = 0; i + 1 < argc; i++) {
        const char *word = argv[i];
        if (line->awaiting) {
            if (strcmp(line->awaiting, "--state") == 0)
                line->ctl.state = word;
            if (strcmp(line->awaiting, "-c") == 0 || strcmp(line->awaiting, "--config") == 0)
                line->ctl.config = word;
            line->awaiting = NULL;
        } else if (word[0] == '-') {
            const char *state = inlined(word, "--state="), *config = inlined(word, "--config=");
            config = config ? config : inlined(word, "-c");
            line->ctl.state = state ? state : line->ctl.state;
            line->ctl.config = config ? config : line->ctl.config;
            line->awaiting = awaits(line, &grammar, word) ? word : NULL;
        } else if (!line->command) {
            find_command(line, word);
        } else if (line->count < WORDS) {
            line->operands[line->count++] = word;
        }
    }
}

static void offer_commands(const struct line *line)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        complete_offer(commands[i].name, line->begun, commands[i].help);
}

int complete(int argc, char **argv)
{
    struct line line = {.command = NULL};
    struct grammar grammar;
    /* Who presses a key wants words, and no message about what is missing. */
    if (!freopen("/dev/null", "w", stderr))
        return CTL_NO;
    read_line(&line, argc, argv);
    char state[PATH_SIZE], config[PATH_SIZE];
    line.ctl.state = at_home(line.ctl.state, state);
    line.ctl.config = at_home(line.ctl.config, config);
    const struct word *value = line.awaiting ? awaits(&line, &grammar, line.awaiting) : NULL;
    if (value) {
        offer_word(&line, value->text);
        return CTL_DONE;
    }
    if (!line.command && line.begun[0] != '-')
        offer_commands(&line);
    if (line.begun[0] == '-') {
        parse(&grammar, everywhere);
        offer_options(&grammar.forms[0], &line);
    }
    parse(&grammar, line.synopsis ? line.synopsis : "");
    for (size_t f = 0; line.command && f < grammar.count; f++) {
        const struct form *form = &grammar.forms[f];
        const struct word *operand = operand_of(form, &line);
        if (line.begun[0] == '-' && is_open(form, &line))
            offer_options(form, &line);
        else if (operand && strcmp(operand->text, "COMMAND") == 0)
            offer_commands(&line);
        else if (operand)
            offer_word(&line, operand->text);
    }
    return CTL_DONE;
}
