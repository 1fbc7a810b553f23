/* Files with code of somebody's that is to run in this process: adapters, codecs. */
#ifndef BATON_BASE_INFILE_H
#define BATON_BASE_INFILE_H

/* Why the code in the file at PATH must not be run: NULL when it may be. It has to be a regular file
 * outside of /dev that belongs to root or to whoever runs this process, and that nobody else may write, its
 * group included; and so does its folder, which may be sticky instead (/tmp).
 * Static text, to stand behind "expected"; errno is kept. */
const char *infile_distrust(const char *path);

#endif
