/* Text as Windows takes it.  For files of the name _windows.c alone. */
#ifndef OX_SUPPORT_UTF16_H
#define OX_SUPPORT_UTF16_H

#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0601 /* Windows 7 */
#endif
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <errno.h>
#include <stdlib.h>

/* NULL with errno set, EILSEQ where it is no UTF-8.  To be freed. */
static inline wchar_t *utf16_of(const char *text) {
    int n = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
    wchar_t *wide = n > 0 ? malloc((size_t)n * sizeof *wide) : NULL;
    if (!wide)
        errno = n > 0 ? ENOMEM : EILSEQ;
    else
        MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, wide, n);
    return wide;
}

/* The same the other way: half of a pair of surrogates is no text. */
static inline char *utf8_of(const wchar_t *wide) {
    int n = WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, wide, -1, NULL, 0, 0, 0);
    char *text = n > 0 ? malloc((size_t)n) : NULL;
    if (!text)
        errno = n > 0 ? ENOMEM : EILSEQ;
    else
        WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, wide, -1, text, n, 0, 0);
    return text;
}

#endif
