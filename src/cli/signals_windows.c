/* What ends the program while files are being written, on Windows: Ctrl-C, Ctrl-Break and
 * raise.  As in signals_posix.c, the unfinished files are removed first.  A handler runs
 * once, and Windows runs that of Ctrl-C beside the program. */
#include "cli/cli.h"

#include <signal.h>

static const int ending[] = {SIGINT, SIGTERM, SIGBREAK};

/* What a handler can reach. */
static OxCompiler *volatile writer;
static volatile sig_atomic_t caught;

static void (*before[OX_COUNT(ending)])(int);

static void stop_writing(int signal) {
    OxCompiler *compiler = writer;
    caught = signal;
    if (compiler)
        ox_interrupt(compiler);
}

void signals_begin(OxCompiler *compiler) {
    writer = compiler;
    for (size_t i = 0; i < OX_COUNT(ending); i++) {
        before[i] = signal(ending[i], stop_writing);
        if (before[i] == SIG_IGN)
            signal(ending[i], SIG_IGN);
    }
}

void signals_end(void) {
    for (size_t i = 0; i < OX_COUNT(ending); i++)
        signal(ending[i], before[i]);
    writer = NULL;
    if (caught)
        raise(caught);
}
