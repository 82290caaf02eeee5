/* Signals that end the program while files are being written.  The library installs no
 * handlers; here one asks it to stop, and the signal takes effect when the unfinished
 * files are gone, which takes no longer than one write of them.  SIGQUIT does not wait. */
#define _POSIX_C_SOURCE 200809L /* sigaction */
#include "cli/cli.h"

#include <signal.h>

static const int ending[] = {SIGINT, SIGTERM, SIGHUP};

/* What a handler can reach. */
static OxCompiler *volatile writer;
static volatile sig_atomic_t caught;

static struct sigaction before[OX_COUNT(ending)];

static void stop_writing(int signal) {
    caught = signal;
    ox_interrupt(writer);
}

void signals_begin(OxCompiler *compiler) {
    writer = compiler;
    for (size_t i = 0; i < OX_COUNT(ending); i++) {
        /* no SA_RESTART: a write to a pipe that nobody reads must return */
        struct sigaction action = {.sa_handler = stop_writing};
        sigemptyset(&action.sa_mask);
        sigaction(ending[i], NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN) /* as under nohup */
            sigaction(ending[i], &action, NULL);
    }
}

void signals_end(void) {
    for (size_t i = 0; i < OX_COUNT(ending); i++)
        sigaction(ending[i], &before[i], NULL);
    writer = NULL;
    if (caught)
        raise(caught);
}
