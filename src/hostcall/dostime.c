/* SPDX-License-Identifier: MIT */
/* dostime.c - see dostime.h. time = hour:5 minute:6 second/2:5; date = year-1980:7 month:4 day:5 */
#include "hostcall/dostime.h"

#include <time.h>

struct dos_time dos_time_of(int64_t seconds)
{
    struct tm tm;
    time_t t = (time_t)seconds;
    if (!localtime_r(&t, &tm) || tm.tm_year < 80)
        return (struct dos_time){0, 1 << 5 | 1};
    if (tm.tm_year > 207)
        return (struct dos_time){23 << 11 | 59 << 5 | 29, 127 << 9 | 12 << 5 | 31};
    unsigned second = tm.tm_sec > 59 ? 59 : (unsigned)tm.tm_sec;
    return (struct dos_time){
        (uint16_t)((unsigned)tm.tm_hour << 11 | (unsigned)tm.tm_min << 5 | second / 2),
        (uint16_t)((unsigned)(tm.tm_year - 80) << 9 | (unsigned)(tm.tm_mon + 1) << 5 |
                   (unsigned)tm.tm_mday)};
}

bool dos_time_to(struct dos_time dos, int64_t *seconds)
{
    struct tm tm = {
        .tm_year = (dos.date >> 9) + 80,
        .tm_mon = (dos.date >> 5 & 15) - 1,
        .tm_mday = dos.date & 31,
        .tm_hour = dos.time >> 11,
        .tm_min = dos.time >> 5 & 63,
        .tm_sec = (dos.time & 31) * 2,
        .tm_isdst = -1,
    };
    if (tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 || tm.tm_hour > 23 ||
        tm.tm_min > 59 || tm.tm_sec > 58)
        return false;
    *seconds = mktime(&tm);
    return *seconds != -1;
}

int32_t zone_seconds(int64_t seconds)
{
    struct tm tm;
    time_t t = (time_t)seconds;
    return localtime_r(&t, &tm) ? (int32_t)tm.tm_gmtoff : 0;
}
