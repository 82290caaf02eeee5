/* Text that other programs read: JSON strings and clean UTF-8.  Source: RFC 8259. */
#ifndef OX_SUPPORT_JSON_H
#define OX_SUPPORT_JSON_H

#include "support/arena.h"

/* A JSON string, quotes included.  Any bytes are fine: malformed UTF-8 becomes U+FFFD.
 */
void text_json(Text *t, Str s);
/* The bytes themselves, but for malformed UTF-8, which becomes U+FFFD as above. */
void text_utf8(Text *t, Str s);

#endif
