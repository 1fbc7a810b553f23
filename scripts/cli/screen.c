/*
 * ncurses is opened by name, by those who draw alone: no other command pays for it, and baton is built and
 * works without it. Its functions are called by their names; its macros need a header and are not.
 */
#include "screen.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ESCAPE = 27, BOLD = 1 << 21 /* A_BOLD of ncurses 5 and 6 */ };

static struct {
    void *(*newterm)(const char *type, FILE *out, FILE *in);
    int (*cbreak)(void);
    int (*noecho)(void);
    int (*curs_set)(int visible);
    int (*erase)(void);
    int (*move)(int line, int column);
    int (*addnstr)(const char *text, int n);
    int (*attrset)(int attributes);
    int (*refresh)(void);
    void (*timeout)(int ms);
    int (*getch)(void);
    int (*endwin)(void);
    void (*delscreen)(void *screen);
} curses;
static void *screen;

static bool load(void)
{
    static const char *const files[] = {"libncursesw.so.6", "libncurses.so.6", "libncursesw.so.5"};
    static const char *const names[] = {"newterm", "cbreak",  "noecho",   "curs_set", "erase",
                                        "move",    "addnstr", "attrset",  "refresh",  "timeout",
                                        "getch",   "endwin",  "delscreen"};
    void *library = NULL, **place = (void **)&curses;

    for (size_t i = 0; i < sizeof files / sizeof *files && !library; i++)
        library = dlopen(files[i], RTLD_LAZY | RTLD_LOCAL);
    for (size_t i = 0; library && i < sizeof names / sizeof *names; i++) {
        if (!(place[i] = dlsym(library, names[i])))
            library = NULL;
    }
    return library != NULL;
}

bool screen_begin(void)
{
    if (!isatty(0) || !isatty(1) || !load())
        return false;
    screen = curses.newterm(NULL, stdout, stdin); /* initscr ends the program where it fails */
    if (!screen)
        return false;
    curses.cbreak();
    curses.noecho();
    curses.curs_set(0);
    return true;
}

void screen_show(const char *text, int bold_line)
{
    curses.erase();
    for (int line = 0; *text; line++) {
        size_t n = strcspn(text, "\n");

        if (curses.move(line, 0) < 0)
            break; /* below the last one */
        curses.attrset(line == bold_line ? BOLD : 0);
        curses.addnstr(text, (int)n);
        text += n + (text[n] == '\n');
    }
    curses.attrset(0);
    curses.refresh();
}

bool screen_wait(int ms)
{
    int key;

    curses.timeout(ms);
    key = curses.getch();
    return key == 'q' || key == 'Q' || key == ESCAPE;
}

void screen_end(void)
{
    curses.endwin();
    curses.delscreen(screen);
}
