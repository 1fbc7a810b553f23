// baton report: a file of reports, and the live report of a process, read and printed in every form. The first
// byte says which; of a live report the rest is the head (LIVE_HEAD_LEN), a page of counters, then the text.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/live.h"
#include "memory_file.h"
#include "report.h"
#include "verdict.h"

enum {
    PAGE = 4096,
    PAGES_AT = LIVE_HEAD + 2 * LIVE_TEXT,
    SIZE = PAGES_AT + LIVE_PAGES * PAGE,
    COUNTED = 256
};

static _Alignas(4096) char image[SIZE];
static char folder[] = "/dev/shm/baton-fuzz-XXXXXX", file[64], live[80];

static void forget(void)
{
    unlink(live);
    rmdir(folder);
}

static void begin(void)
{
    FILE *nobody = fopen("/dev/null", "w");
    int fd;

    if (!nobody || !mkdtemp(folder))
        abort();
    stdout = nobody; /* the fuzzer itself talks on stderr */
    snprintf(file, sizeof file, "%s/report", folder);
    snprintf(live, sizeof live, "%s.%d" LIVE_SUFFIX, file, (int)getpid());
    fd = open(live, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || close(fd))
        abort();
    memory_file_share(live, image, sizeof image);
    atexit(forget);
}

static void print_all(struct reports *reports)
{
    struct verdict verdict = verdict_of(reports, NULL);

    verdict_print(stdout, &verdict);
    free(verdict.text);
    report_print_tables(reports);
    report_print_json(reports);
    report_print_prometheus(reports);
    for (size_t i = 0; i < reports->count; i++)
        json_decref(reports->at[i]);
    free(reports->at);
}

/* What the input does not say is as the library would write it, so that most inputs are read to the end. */
static void write_live(const uint8_t *data, size_t size)
{
    static size_t used;
    struct live_head head = {0};
    size_t len = size < sizeof head ? size : sizeof head, counted, text;

    memset(image + LIVE_HEAD, 0, used);
    memset(image + LIVE_HEAD + LIVE_TEXT, 0, used);
    memset(image + PAGES_AT, 0, COUNTED);
    memcpy(&head, data, len);
    data += len;
    size -= len;
    counted = size < COUNTED ? size : COUNTED;
    text = size - counted;
    memcpy(head.magic, LIVE_MAGIC, sizeof head.magic);
    if (!head.page_size)
        head.page_size = PAGE;
    if (!head.pages_at)
        head.pages_at = PAGES_AT;
    if (!head.text_len[0])
        head.text_len[0] = (uint32_t)text;
    memcpy(image, &head, sizeof head);
    memcpy(image + PAGES_AT, data, counted);
    memcpy(image + LIVE_HEAD, data + counted, text);
    memcpy(image + LIVE_HEAD + LIVE_TEXT, data + counted, text);
    used = text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reports reports = {.count = 0};

    if (!size)
        return 0;
    if (!*live)
        begin();
    if (*data & 1) {
        memory_file_put(file, "", 0); /* not the file of the run before */
        write_live(data + 1, size - 1);
        reports_read_live(&reports, file, false);
    } else {
        memory_file_put(file, data + 1, size - 1);
        reports_read_since(&reports, file, 0);
    }
    print_all(&reports);
    return 0;
}
