/* The settings, read once from the environment and from the file that BATON_CONFIG names.
 *
 * config_read copies what it keeps: the program may overwrite its environment later (setproctitle).
 * It takes the environment as an argument and never calls getenv: in preinit libc's environ is not
 * set. A wrong setting is said once, keeps its default, is counted in `errors`, and stops no other.
 */
#ifndef BATON_BASE_CONFIG_H
#define BATON_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the order of the words in config.def. BATON_LOG is enum log_level. */
enum config_inherit { INHERIT_APP, INHERIT_ALL, INHERIT_NONE };
enum config_strict { STRICT_OFF, STRICT_ON, STRICT_REQUIRE };

struct known;

struct config_item {
    const char *text; /* terminated, without the spaces around it, never empty */
    const char *name; /* the variable that it belongs to */
    const char *file; /* where it stands; NULL: in the environment */
    uint32_t len;
    uint32_t line;      /* in the file, from 1 */
    uint32_t column;    /* of the first character, from 1, in the line or in the variable's value */
    const char *preset; /* that it came from (userhooks/preset.h); NULL: it is the user's own */
    struct known *known; /* for which `auto` names it (slots/known.h); NULL: the user's own */
};

struct config_list {
    const struct config_item *items; /* the environment's first, then the file's */
    size_t count;
};

#define CONFIG_C_FLAG bool
#define CONFIG_C_CHOICE(words) unsigned
#define CONFIG_C_COUNT uint32_t
#define CONFIG_C_SECONDS uint64_t
#define CONFIG_C_PATH const char *
#define CONFIG_C_TARGET const char *
#define CONFIG_C_LIST struct config_list
#define CONFIG_C_NAMES struct config_list

struct config {
#define SETTING(field, name, type, def, secure_ok, help) CONFIG_C_##type field;
#include "base/config.def"
#undef SETTING
    struct config_list preset_pools; /* libraries whose threads are workers, named by presets */
    unsigned errors;                 /* wrong settings and items so far */
    bool is_off;    /* BATON_DISABLE=all in the environment: nothing else was read */
    bool is_secure; /* a setuid program: only the rows marked secure_ok were read */
    void *memory;   /* what the texts above point into */
    size_t memory_len;
    char *spare; /* room in it, for whoever takes texts apart: as much as all of them */
    size_t spare_len;
};

/* Is there any setting in ENVP? */
bool config_is_any(char **envp);

/* Fill OUT, the defaults first. ENVP NULL is an empty environment. Every mistake is one message. */
void config_read(char **envp, struct config *out);

/* The same, told whether the program is privileged: for tests. */
void config_read_as(bool is_secure, char **envp, struct config *out);

/*
 * A privileged program: what may not be obeyed is taken out of the environment ENVP as well, for the
 * programs that it starts may not be privileged by the kernel's measure, and would obey it.
 */
void config_scrub(char **envp);

/* Print the settings on stderr. */
void config_help(void);

/* Say that ITEM is wrong at OFFSET in its text, and count it: for those who read items.
 *   baton: BATON_CARRY="key:": column 5: expected a name */
void config_item_error(struct config *config, const struct config_item *item, size_t offset,
                       const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Distance of two names in changed, added and dropped letters, for "did you mean": names longer
 * than 127 bytes are infinitely far. */
unsigned config_name_distance(const char *a, const char *b);

#endif
