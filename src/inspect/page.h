/* The files of src/inspect/page, which the build embeds (tools/embed_page.c). */
#ifndef OX_INSPECT_PAGE_H
#define OX_INSPECT_PAGE_H

#include <stddef.h>

typedef struct EmbeddedFile {
    const char *text;
    size_t size;
} EmbeddedFile;

extern const EmbeddedFile page_html, page_css, page_js;

#endif
