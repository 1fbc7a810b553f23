/* Between the files that read the settings: the table of config.def, and what takes a value. */
#ifndef BATON_BASE_CONFIG_READER_H
#define BATON_BASE_CONFIG_READER_H

#include "base/config.h"
#include "base/config_parse.h"

#define CONFIG_PREFIX "BATON_"
#define CONFIG_PREFIX_LEN (sizeof CONFIG_PREFIX - 1)

enum setting_kind {
    KIND_FLAG,
    KIND_CHOICE,
    KIND_COUNT,
    KIND_SECONDS,
    KIND_PATH,
    KIND_TARGET,
    KIND_LIST,
    KIND_NAMES
};

/* Texts, not pointers: the loader would have to write those at every start of every program. */
struct setting {
    char name[16];
    char words[24]; /* of a choice */
    char def[8];
    char help[96];
    enum setting_kind kind;
    uint16_t offset; /* in struct config */
    uint8_t def_len;
    bool is_secure_ok;
};

enum {
#define SETTING(field, ...) SETTING_##field,
#include "base/config.def"
#undef SETTING
    SETTING_COUNT
};
extern const struct setting config_settings[SETTING_COUNT];

#define GIVEN_IN_ENVIRONMENT UINT32_MAX

struct reader {
    struct config *out;
    char *text, *text_end;     /* what is left of the memory for texts */
    struct config_item *items; /* a room of item_max for each list */
    size_t item_max;
    uint32_t given_at[SETTING_COUNT]; /* line in the file, GIVEN_IN_ENVIRONMENT, or 0 */
};

/* The setting of that name; SETTING_COUNT: there is none. */
size_t config_find(const char *name, size_t len);
/* Says that there is no such setting, and which may have been meant. */
void config_unknown(struct reader *r, const struct place *place);
/* Names are compared as if written in capitals: export baton_carry=... is a mistake of the same kind. */
void config_upper(const char *from, char *into, size_t n);
/* Which of the settings that are lists this one is; SETTING_COUNT: how many there are. */
size_t config_list_number(size_t setting);
/* Reads a value to where it goes, without a look at what was given before. */
void config_parse(struct reader *r, size_t setting, struct place *p, void *into);
/* Where a setting's value goes; a value that another one beats is still looked at. */
void config_take(struct reader *r, size_t setting, struct place *p);

/* config_file.c. Opens the file of BATON_CONFIG and says how long it is. -1: there is none to read. */
int config_open_file(struct config *out, struct place *p, size_t *len);
void config_read_file(struct reader *r, const struct place *p, int fd, size_t len);

#endif
