/*
 * baton-discover, which `baton discover` starts: a process of its own, because what it reads may be anything and
 * the libraries that it needs would make every start of the launcher slower.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "discover.h"

/* Names of files come through without what a terminal would obey. */
static int print_clean(char *text, size_t len)
{
    char *end;

    for (char *line = text; line < text + len; line = end + 1) {
        end = memchr(line, '\n', (size_t)(text + len - line));
        if (!end)
            end = text + len;
        text_clean(line, (size_t)(end - line));
    }
    return fwrite(text, 1, len, stdout) == len && fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    FILE *terminal = stdout, *kept;
    char *text = NULL;
    size_t len = 0;
    int status;

    log_level = -1;
    if (argc != 4 || strcmp(argv[1], "static") != 0) {
        fprintf(stderr, "usage: baton-discover static PROGRAM text|json\n");
        return 2;
    }
    kept = stdout = wanted(open_memstream(&text, &len));
    status = verb_static(argv[2], !strcmp(argv[3], "json"));
    stdout = terminal;
    fclose(kept);
    return print_clean(text, len) ? 1 : status;
}
