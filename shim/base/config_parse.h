/* The values of settings: one parser a type, and the messages about them. For config.c. */
#ifndef BATON_BASE_CONFIG_PARSE_H
#define BATON_BASE_CONFIG_PARSE_H

#include "base/config.h"

/* A value and where it stands. The text is in our own memory: it may be cut up. */
struct place {
    const char *name, *file;
    char *text;
    size_t len;
    uint32_t line, column; /* of the text's first character */
};

bool config_is_space(char c);

/* Leave the spaces around the text away. */
void config_trim(struct place *p);

/* Say what was expected at OFFSET in the text, and count the mistake. */
void config_expect(struct config *config, const struct place *place, size_t offset, const char *fmt,
                   ...) __attribute__((format(printf, 4, 5)));

/* The name of an errno value, as in ENOENT; without strerror, which may allocate. */
const char *config_errno_text(int error);

/* Each parser writes to INTO only what is right, and complains otherwise. */
void config_parse_flag(struct config *c, const struct place *p, bool *into);
void config_parse_choice(struct config *c, const struct place *p, const char *words,
                         unsigned *into);
/* Complains of item NUMBER if it is given before. The environment and the file may both have it, each once. */
void config_expect_once(struct config *config, const struct config_list *list, size_t number);
void config_parse_count(struct config *c, const struct place *p, uint32_t most, uint32_t *into);
void config_parse_seconds(struct config *c, const struct place *p, uint64_t *into);

/* Add the items of the text to INTO, whose array is BUFFER, and terminate each where it stands. An item
 * that is missing between two separators is told once. */
void config_parse_list(struct config *c, const struct place *p, const char *separators,
                       struct config_item *buffer, size_t capacity, struct config_list *into);

#endif
