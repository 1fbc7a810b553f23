/*
 * The live report: a file beside that of BATON_REPORT, mapped while the process runs, so that what was
 * counted is there at any moment and after any end, SIGKILL too. `baton report` reads it (struct live_head
 * is the format); it goes when the process writes its report at exit. Of processes that a signal has ended the last
 * LEFTOVER_KEPT stay, until they are taken up or more have come (base/leftover.h).
 *
 * Counters are written where they are: a thread's block ends with them (context/thread.c), and that page is
 * one of the file's. Nothing else of a thread is in it.
 */
#ifndef BATON_BASE_LIVE_H
#define BATON_BASE_LIVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIVE_MAGIC "batonLV2"
#define LIVE_SUFFIX ".live" /* FILE.PID.live */

enum { LIVE_PAGES = 128, LIVE_TEXT = 64 * 1024, LIVE_HEAD = 64 * 1024 };
/* In the head, behind the struct: what another library of ours writes (base/waits.h). */
enum { LIVE_ROOM_AT = 4096, LIVE_ROOM = LIVE_HEAD - LIVE_ROOM_AT };

/* At the start of the file; the texts follow at LIVE_HEAD, then pages of page_size at pages_at. All of one
 * machine: it is read where it was written. */
struct live_head {
    char magic[8];
    uint32_t page_size, pages_at;
    uint32_t families, reasons;
    uint32_t carried_at, empty_at,
        bare_at, /* in a page: uint64_t[families] twice, uint32_t[families][reasons], */
        read_at; /* and a uint64_t: runs in which a carried key was read */
    int32_t pid;
    uint64_t start;         /* of the process, as /proc/PID/stat has it: numbers are given again */
    uint32_t is_child;      /* of fork, without a program of its own yet: it may count nothing */
    _Atomic uint32_t pages; /* that are in use, or more */
    _Atomic uint32_t text;  /* which of the two texts is whole; its length stands in text_len */
    uint32_t text_len[2];
    uint32_t is_over; /* exit was reached where no more than this word can be written: see below */
    uint32_t pid_namespace; /* base/leftover.h */
};

/* A sandbox forbids it, or may: new privileges were given up, and no filter shown. */
enum { LIVE_IN_SANDBOX = 1, LIVE_FEARED };

extern bool live_is_on;

/* Opens it for TARGET, if that is a file and there is room for all of it: threads of the program write to it, and a
 * full disk would be SIGBUS to them. HEAD has the layout of the counters. Before the first thread block. */
void live_begin(const char *target, const struct live_head *head);
/* Asks the system for all that live_block will give, each with BEFORE bytes of other memory in front: the program
 * may go into a sandbox in which nothing can be asked for. Costs address space only. */
void live_prepare(size_t before);
/* Memory for counters in the file, zeroed, with BEFORE bytes in front; NULL: none. More threads at a time than
 * LIVE_PAGES are told of at exit only. */
void *live_block(size_t before);
/* What is told beside the counters: an object of JSON. Not by two threads at once. */
void live_tell(const char *text, size_t len);
/* The room in the head; NULL: there is no file. *WHERE is where somebody else looks for it, who writes to it from now
 * on: a child of fork finds its own there, with the first KEPT bytes as they were, or NULL. BEGIN gets each room ready,
 * before it stands there. */
void *live_room(void);
void live_lend(void *_Atomic *where, size_t kept, void (*begin)(void *room));
/* In a child of fork: a file of its own. COUNTERS: the page of the thread that lives on, or NULL; it is the
 * child's own then, and zeroed. False: it still is the parent's. */
bool live_fork_child(void *counters);
/* No report can be written where the process exits: this stays, and says so. Calls nothing. */
void live_stay(void);
/* The process has told everything, or nobody will ever hear it: the file goes. */
void live_end(void);

#endif
