/* Decimal numbers, whatever the locale says. */
#ifndef OX_SUPPORT_NUMBER_H
#define OX_SUPPORT_NUMBER_H

#include "support/base.h"

/* The value of digits with a point and an exponent, or without; no sign.  false when the
 * text is anything else, or has more than 40 digits. */
bool number_read(Str text, double *value);

#endif
