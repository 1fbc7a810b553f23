/* judge.c decides, write.c says it. */
#ifndef BATON_DISCOVER_WRITE_H
#define BATON_DISCOVER_WRITE_H

#include <stdio.h>

void judge(void);
void write_conf(FILE *out);
void write_json(void);

#endif
