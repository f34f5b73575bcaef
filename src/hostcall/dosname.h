/* SPDX-License-Identifier: MIT */
/* dosname.h - names in code page 437 and in 8.3 form. All text is 0-terminated bytes. */
#ifndef HOSTCALL_DOSNAME_H
#define HOSTCALL_DOSNAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_NAME_ROOM 768 /* a name of 255 characters, in UTF-8, and more */

/* UTF-8 to code page 437. False if a character is not in it, or the text is not UTF-8. */
bool cp437_from_utf8(const char *utf8, char *out, size_t room);
void cp437_to_utf8(const char *bytes, char *out, size_t room);
/* As DOS folds file names. */
uint8_t cp437_upper(uint8_t byte);
void cp437_fold(char *text);

/* Reserved names of character devices, with any extension. */
bool dosname_is_device(const char *name);
/* Whether folded text is a proper "NAME.EXT". */
bool dosname_is_short(const char *folded);
/* Lower-case host name for a new file that DOS calls `name` (8.3 in upper case), else as it is. */
void dosname_to_host(const char *name, char *out, size_t room);
/* The n-th candidate for a host name that has no 8.3 form. */
void dosname_mangle(const char *host_name, unsigned n, char alias[13]);
/* "NAME.EXT" to 11 characters, '*' becomes '?'s. False if it does not fit. */
bool dosname_to_fcb(const char *name, uint8_t fcb[11]);
bool dosname_match_fcb(const uint8_t pattern[11], const char *alias);
/* Long names, * and ?; both folded. "*.*" matches names without a dot. */
bool dosname_match(const char *pattern, const char *name);

#endif
