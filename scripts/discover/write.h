/* judge.c decides by evidence.c, write.c says it. */
#ifndef BATON_DISCOVER_WRITE_H
#define BATON_DISCOVER_WRITE_H

#include <stdio.h>

void judge(void);
/* known.c: what `auto` would carry, looked for and said. */
void known_find(void);
bool known_is_any(void);
void known_print(FILE *out);
void known_print_json(void);
void write_conf(FILE *out);
void write_json(void);

#endif
