/* SPDX-License-Identifier: MIT */
/* dostime.h - DOS's date and time words, in the host's local time. */
#ifndef HOSTCALL_DOSTIME_H
#define HOSTCALL_DOSTIME_H

#include <stdbool.h>
#include <stdint.h>

struct dos_time {
    uint16_t time, date;
};
/* Clamped to 1980-2107. */
struct dos_time dos_time_of(int64_t seconds);
/* False if the words are no date. */
bool dos_time_to(struct dos_time dos, int64_t *seconds);
/* Local time minus UTC at that moment. */
int32_t zone_seconds(int64_t seconds);

#endif
