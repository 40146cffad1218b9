/*
 * Functions that nobody calls here. This header is forced into every
 * translation unit, so that one use is a build error that names the cure.
 * The idea is git's banned.h.
 */
#ifndef COMMON_BASE_BANNED_H
#define COMMON_BASE_BANNED_H

/* Everything that declares them comes first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BANNED(name, cure) name##_is_banned_use_##cure

#undef strcpy
#define strcpy(d, s) BANNED(strcpy, buf)
#undef strcat
#define strcat(d, s) BANNED(strcat, buf)
#undef strncpy
#define strncpy(d, s, n) BANNED(strncpy, buf)
#undef strncat
#define strncat(d, s, n) BANNED(strncat, buf)
#undef sprintf
#define sprintf(...) BANNED(sprintf, snprintf)
#undef vsprintf
#define vsprintf(...) BANNED(vsprintf, vsnprintf)
#undef strtok
#define strtok(s, d) BANNED(strtok, slice)
#undef gets
#define gets(s) BANNED(gets, getline)
#undef atoi
#define atoi(s) BANNED(atoi, strtol)
#undef atol
#define atol(s) BANNED(atol, strtol)
#undef atoll
#define atoll(s) BANNED(atoll, strtoll)
#undef atof
#define atof(s) BANNED(atof, strtod)
#undef gmtime
#define gmtime(t) BANNED(gmtime, gmtime_r)
#undef localtime
#define localtime(t) BANNED(localtime, localtime_r)
#undef ctime
#define ctime(t) BANNED(ctime, clock_format)
#undef asctime
#define asctime(t) BANNED(asctime, clock_format)
#undef tmpnam
#define tmpnam(s) BANNED(tmpnam, mkstemp)
#undef mktemp
#define mktemp(s) BANNED(mktemp, mkstemp)
#undef system
#define system(c) BANNED(system, process)
#undef popen
#define popen(c, m) BANNED(popen, process)
/* Skips the tag check of an empty AEAD ciphertext in OpenSSL 3.0. OpenSSL's
 * header declares it after this one: the declaration must stay one, so a use
 * fails when it is linked. */
#define EVP_Cipher(...) BANNED(EVP_Cipher, EVP_DecryptFinal_ex)(__VA_ARGS__)

#endif
