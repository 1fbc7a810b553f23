/* What an item of BATON_CARRY may look like, whoever reads it afterwards. */
#ifndef BATON_SLOTS_GRAMMAR_H
#define BATON_SLOTS_GRAMMAR_H

#include <stdbool.h>

struct slot_error;

/* Is TEXT an item that makes sense? It is only read; adapter_exists says whether a name is an adapter's.
 * False: ERROR says what was expected and where, until the next call. */
bool grammar_check(const char *text, bool (*adapter_exists)(const char *name),
                   struct slot_error *error);

/* The bit of an option at the beginning of TEXT (slots/form.h). 0: it is none. */
unsigned grammar_option(const char *text);

/* Do two items, both of them right, carry the same, as far as their texts say (subject.c)? Their policies are not looked at. */
enum grammar_same {
    SAME_NOT,
    SAME_SUBJECT,
    SAME_WRITER, /* it is read otherwise, and set by the same function */
};
enum grammar_same grammar_same_subject(const char *one, const char *other);

#endif
