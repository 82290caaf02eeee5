/* x to the power of y, rounded correctly but for one case in 2^30 or so: the same on all
 * systems, whose libraries differ in the last bit.  No tables. */
#ifndef OX_SUPPORT_POWER_H
#define OX_SUPPORT_POWER_H

/* What pow of C gives, ends and signs included. */
double power(double x, double y);

#endif
