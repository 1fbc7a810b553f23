/* What baton-plan and the launcher both know of answers that are kept: where files of ours lie, and how a file that
 * an answer was drawn from is known again.
 *
 * `baton run` asks baton-plan before the program starts, which costs three processes and reads every library. Its
 * answer is kept as KEY.known in the first of the places that can be written, a line each:
 *
 *     answer STATUS PATH      what it ended with, and the object that it printed (PATH may be empty)
 *     seen STAMP PATH         for every file that it looked at, and every place where one of another meaning may come
 *     end
 *
 * KEY has the settings and the program in it. An answer holds as long as every stamp does.
 */
#ifndef BATON_PLAN_KEPT_H
#define BATON_PLAN_KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

enum { KEPT_PLACES = 4, KEPT_PATH = 4352, KEPT_LINE = KEPT_PATH + 128, KEPT_KEY = 16 };

/* The folder NUMBER that files of ours may lie in. False: this user has no such one. */
bool kept_place(unsigned number, char *path, size_t n);
/* Is PATH a folder that only this user can write to? */
bool kept_is_ours(const char *path);
/*
 * A program that becomes another user starts others with the preloads of before. The loader leaves out what that user
 * cannot open; the object without the library, which lies in FOLDER, would end them, so it is open to nobody to whom
 * the library is not. Asked again for a kept answer: no stamp tells the modes of the folders on the way.
 */
unsigned kept_object_mode(const char *folder);
/* The line "seen ..." of PATH as it is now, also of one that is not there. *changed (may be NULL): when it changed. */
void kept_stamp(const char *path, char *line, size_t n, struct timespec *changed);

#endif
