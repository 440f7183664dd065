/*
 * ncurses gives a terminal back when it is asked to. When a signal ends the process there is nobody to ask, and its own
 * functions may not be called; the few bytes that leave the other screen and show the cursor again are therefore kept
 * ready from the beginning.
 *
 * Mapped memory that has lost its file under it is a SIGBUS. The gateway never shortens a region, but somebody may, and
 * an operator's screen should then say so.
 */

#include "tools/gatewayctl/terminal.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <term.h>

#include "tools/gatewayctl/top_view.h"

static struct {
    bool open;
    bool unicode;
    bool color;
    SCREEN *curses;
    struct termios before;
    char farewell[256]; /* what leaves the terminal as it was */
    size_t farewell_length;
    const char *last_words;
    int last_status;
    int silent; /* how often there was something to read and nothing was read */
} terminal;

/* A capability without its padding, which is for terminals that no longer exist. */
static void add_farewell(const char *name)
{
    const char *text = tigetstr(name);
    if (!text || text == (const char *)-1)
        return;
    while (*text && terminal.farewell_length + 1 < sizeof(terminal.farewell)) {
        if (text[0] == '$' && text[1] == '<' && strchr(text, '>'))
            text = strchr(text, '>') + 1;
        else
            terminal.farewell[terminal.farewell_length++] = *text++;
    }
}

static void say_last(const char *text)
{
    (void)!write(STDERR_FILENO, text, strlen(text));
}

static void on_crash(int number)
{
    if (terminal.open) {
        (void)!write(STDOUT_FILENO, terminal.farewell, terminal.farewell_length);
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal.before);
        terminal.open = false;
    }
    if (number == SIGBUS && terminal.last_words) {
        say_last("gatewayctl: ");
        say_last(terminal.last_words);
        say_last("\n");
        _exit(terminal.last_status);
    }
    signal(number, SIG_DFL);
    raise(number);
}

static void expect_crashes(void)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGQUIT};
    const struct sigaction action = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaction(numbers[i], &action, NULL);
}

void terminal_fear(const char *last_words, int status)
{
    terminal.last_words = last_words;
    terminal.last_status = status;
}

/* Terminals of before Unicode, and the kernel's own, whose font has no bars. */
static bool shows_unicode(const char *term)
{
    static const char *const plain[] = {"vt1", "vt2", "vt3", "ansi", "linux"};
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        if (strncmp(term, plain[i], strlen(plain[i])) == 0)
            return false;
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/* Look it up: what it can do, and how it is left. */
static int read_terminal(const char *term, char *why, size_t size)
{
    int found;
    if (setupterm(term, STDOUT_FILENO, &found) != OK) {
        snprintf(why, size, "nothing is known about a terminal \"%.64s\"; set TERM, or use gatewayctl status", term);
        return 1;
    }
    bool able = cursor_address && clear_screen;
    if (!able)
        snprintf(why, size, "a terminal \"%.64s\" cannot show a full screen; set TERM, or use gatewayctl status", term);
    add_farewell("sgr0");
    add_farewell("cnorm");
    add_farewell("rmkx");
    add_farewell("rmcup");
    del_curterm(cur_term);
    return able ? 0 : 1;
}

static void prepare_colors(void)
{
    const char *no = getenv("NO_COLOR");
    terminal.color = has_colors() && !(no && *no) && start_color() == OK && use_default_colors() == OK;
    if (!terminal.color)
        return;
    init_pair(SCREEN_GREEN, COLOR_GREEN, -1);
    init_pair(SCREEN_YELLOW, COLOR_YELLOW, -1);
    init_pair(SCREEN_RED, COLOR_RED, -1);
    init_pair(SCREEN_CYAN, COLOR_CYAN, -1);
}

int terminal_open(char *why, size_t size)
{
    const char *term = getenv("TERM");
    term = term && *term ? term : "dumb";
    setlocale(LC_CTYPE, "");
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        snprintf(why, size, "top needs a terminal; gatewayctl status shows the same once, with --json for programs");
        return 1;
    }
    if (read_terminal(term, why, size) != 0)
        return 1;
    terminal.unicode = shows_unicode(term);
    tcgetattr(STDIN_FILENO, &terminal.before);
    terminal.curses = newterm(term, stdout, stdin);
    if (!terminal.curses) {
        snprintf(why, size, "the terminal \"%.64s\" cannot be used; set TERM, or use gatewayctl status", term);
        return 1;
    }
    terminal.open = true;
    atexit(terminal_close);
    expect_crashes();
    prepare_colors();
    cbreak();
    noecho();
    nonl();
    curs_set(0);
    set_escdelay(25);
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    return 0;
}

void terminal_close(void)
{
    if (!terminal.open)
        return;
    terminal.open = false;
    endwin();
    delscreen(terminal.curses);
    terminal.curses = NULL;
}

void terminal_size(int *width, int *height)
{
    getmaxyx(stdscr, *height, *width);
}

bool terminal_unicode(void)
{
    return terminal.unicode;
}

static attr_t marks_of(unsigned paint)
{
    attr_t marks = A_NORMAL;
    marks |= paint & SCREEN_BOLD ? A_BOLD : A_NORMAL;
    marks |= paint & SCREEN_DIM ? A_DIM : A_NORMAL;
    marks |= paint & SCREEN_REVERSE ? A_REVERSE : A_NORMAL;
    return marks;
}

/* What the terminal does not show in one column would shift everything behind it. */
static wchar_t shown(uint32_t rune)
{
    if (rune < 127)
        return (wchar_t)rune;
    return terminal.unicode && wcwidth((wchar_t)rune) == 1 ? (wchar_t)rune : L'?';
}

static void show_row(const struct screen *screen, int row)
{
    const struct screen_cell *cells = &screen->cells[row * screen->width];
    wchar_t text[SCREEN_SIDE_MAX];
    for (int from = 0, end; from < screen->width; from = end) {
        for (end = from; end < screen->width && cells[end].paint == cells[from].paint; end++)
            text[end - from] = shown(cells[end].rune);
        attr_set(marks_of(cells[from].paint), terminal.color ? (short)(cells[from].paint & SCREEN_COLOR) : 0, NULL);
        mvaddnwstr(row, from, text, end - from);
    }
}

void terminal_show(const struct screen *screen)
{
    erase();
    for (int row = 0; row < screen->height; row++)
        show_row(screen, row);
    wnoutrefresh(stdscr);
    doupdate();
}

/* A terminal that is always readable and never says anything was closed at the other end. */
enum { SILENT_MAX = 10 };

int terminal_wait(int ms, const sigset_t *mask)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    const struct timespec span = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    int result = ppoll(&in, 1, &span, mask);
    if (result <= 0)
        return 0;
    if ((in.revents & (POLLERR | POLLHUP | POLLNVAL)) || terminal.silent >= SILENT_MAX)
        return -EIO;
    terminal.silent++;
    return 1;
}

int terminal_key(void)
{
    static const struct {
        int curses;
        int key;
    } keys[] = {{KEY_UP, TOP_KEY_UP},           {KEY_DOWN, TOP_KEY_DOWN},         {KEY_PPAGE, TOP_KEY_PAGE_UP},
                {KEY_NPAGE, TOP_KEY_PAGE_DOWN}, {KEY_HOME, TOP_KEY_HOME},         {KEY_END, TOP_KEY_END},
                {KEY_BACKSPACE, TOP_KEY_ERASE}, {127, TOP_KEY_ERASE},             {'\b', TOP_KEY_ERASE},
                {KEY_ENTER, TOP_KEY_ENTER},     {'\r', TOP_KEY_ENTER}};
    for (;;) {
        int got = getch();
        if (got == ERR)
            return -1;
        terminal.silent = 0;
        if (got == 'L' - '@') {
            clearok(curscr, TRUE); /* whatever another program wrote over it is painted again */
            continue;
        }
        if (got == KEY_RESIZE)
            continue;
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
            if (keys[i].curses == got)
                return keys[i].key;
        if (got < 256)
            return got;
    }
}
