/* What an item of a kind looks like, and the pieces that items are made of. */
#ifndef BATON_SLOTS_FORM_H
#define BATON_SLOTS_FORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slot_error {
    const char *expected;
    const char *at; /* in the text that was read */
};

/* The options that there are, by bit; grammar.c has their words. */
enum slot_option {
    O_SHARE = 1 << 0,
    O_COPY = 1 << 1,
    O_STRING = 1 << 2,
    O_CLONE = 1 << 3,
    O_REF = 1 << 4,
    O_WEAK = 1 << 5,
    O_MOVE = 1 << 6,
    O_FREE = 1 << 7,
    O_UNREF = 1 << 8,
    O_NATIVE = 1 << 9,
    O_DUP = 1 << 10,
    O_GET = 1 << 11,
    O_SET = 1 << 12,
    O_CODEC = 1 << 13,
    O_FILL = 1 << 14,
    O_PUT = 1 << 15,
    O_AT = 1 << 16,
    O_SIZE = 1 << 17,
    O_POLICIES = O_SHARE | O_COPY | O_STRING | O_CLONE | O_REF | O_WEAK, /* one of them, or move */
    O_ENDERS = O_FREE | O_UNREF,
};

enum slot_shape {
    SHAPE_ALONE,   /* the kind's name is all of it */
    SHAPE_WHAT,    /* KIND:WHAT */
    SHAPE_OPTIONS, /* KIND:OPTION,OPTION */
};

/* Texts, not pointers: the loader would have to write those at every start of every program. */
struct slot_form {
    char name[8]; /* the word before the colon */
    enum slot_shape shape;
    unsigned options; /* all that it may have */
    unsigned own;     /* those that its parse reads, before the policy */
    char item[112];   /* for messages: what to type */
    char extra[128];  /* for messages: the options that there are */
};

#define POLICY_WORDS "share, copy=N, string, clone=F,free=F, ref=F,unref=F or weak"

/* False, with what was expected, and where. */
bool form_bad(struct slot_error *error, const char *at, const char *expected);
/* Is it a name as the linker has them? FORM: what is expected where there is none. */
bool form_check_name(const char *at, size_t len, const char *form, struct slot_error *error);
/* NAME[@MODULE] */
bool form_check_symbol(const char *at, size_t len, const char *form, struct slot_error *error);
/* Behind the last '+', if that is an offset. NULL: it is a name. */
const char *form_find_offset(const char *at, size_t len);
/* MODULE+0xOFFSET, with has_size the beginning of MODULE+0xOFFSET:SIZE. */
bool form_check_offset(const char *at, const char *offset, const char *end, bool has_size,
                       struct slot_error *error);
bool form_is_digit(char c);

/* For parse: cut "NAME@MODULE" in two; a number like 0x1f0 after '+'. */
void form_cut_module(char *text, const char **module);
bool form_read_offset(const char *text, uintptr_t *offset, const char **end);

#endif
