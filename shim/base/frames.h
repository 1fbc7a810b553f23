/* Return addresses, as unwinders tell them. */
#ifndef BATON_BASE_FRAMES_H
#define BATON_BASE_FRAMES_H

/*
 * libunwind before 1.4 (Debian 11) tells places inside of the calls, one byte before where they return to, but for stacks
 * that it reads in its slow way. KNOWN is a return address that is on the stack: by how it is told the others are put right.
 */
static inline void frames_put_right(void **frames, int count, const void *known)
{
    int i = 0;

    while (i < count && frames[i] != known && (char *)frames[i] + 1 != (const char *)known)
        i++;
    if (i == count || frames[i] == known)
        return;
    for (i = 0; i < count; i++)
        frames[i] = (char *)frames[i] + 1;
}

#endif
