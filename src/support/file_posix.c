/* Files of POSIX, with what Linux has past it. */
#define _GNU_SOURCE /* syscall */
#define _FILE_OFFSET_BITS 64
#include "support/file_system.h"

#ifdef OX_NO_FILES
typedef int nothing_here; /* ISO C wants one declaration */
#else

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

#ifndef O_CLOEXEC
#define O_CLOEXEC 0
#endif
#ifndef MADV_POPULATE_READ
#ifdef __linux__
#define MADV_POPULATE_READ 22 /* since Linux 5.14; older ones refuse it */
#else
#define MADV_POPULATE_READ MADV_WILLNEED
#endif
#endif

/* --- what a file is ------------------------------------------------------------- */

static bool state_of(int rc, const struct stat *st, FileState *state) {
    if (rc != 0)
        return false;
    *state = (FileState){
        .kind = S_ISREG(st->st_mode)   ? KIND_REGULAR
                : S_ISDIR(st->st_mode) ? KIND_FOLDER
                                       : KIND_OTHER,
        .size = (uint64_t)st->st_size,
        .volume = (uint64_t)st->st_dev,
        .id = (uint64_t)st->st_ino,
        .mode = st->st_mode & 0777,
    };
    return true;
}

bool fs_state(int fd, FileState *state) {
    struct stat st;
    return state_of(fstat(fd, &st), &st, state);
}

bool fs_state_of(const char *path, FileState *state) {
    struct stat st;
    return state_of(stat(path, &st), &st, state);
}

bool fs_is_link(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

bool fs_is_at_start(int fd) {
    return lseek(fd, 0, SEEK_CUR) == 0;
}

/* --- opening, reading, writing -------------------------------------------------- */

int fs_open(const char *path, bool wait) {
    return open(path, O_RDONLY | O_CLOEXEC | (wait ? 0 : O_NONBLOCK));
}

int fs_dup_input(void) {
    return fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
}

int fs_dup_output(void) {
    return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
}

int fs_open_output(const char *path) {
    return open(path, O_WRONLY | O_CLOEXEC);
}

int fs_create(const char *path) {
    return open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

void fs_keep_mode(int fd, const FileState *replaced) {
    (void)!fchmod(fd, (mode_t)replaced->mode);
}

bool fs_close(int fd) {
    return close(fd) == 0;
}

int64_t fs_read(int fd, char *p, size_t n) {
    return read(fd, p, n < IO_MAX ? n : IO_MAX);
}

int64_t fs_write(int fd, const char *p, size_t n) {
    return write(fd, p, n < IO_MAX ? n : IO_MAX);
}

bool fs_rename(const char *from, const char *to) {
    return rename(from, to) == 0;
}

bool file_remove(const char *path) {
    return unlink(path) == 0;
}

long fs_process(void) {
    return (long)getpid();
}

/* --- maps and copies ------------------------------------------------------------ */

void *fs_map(int fd, size_t n) {
    void *p = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

void fs_unmap(void *p, size_t n) {
    munmap(p, n);
}

/* madvise takes whole pages. */
void fs_advise(const char *p, size_t n, MapAdvice advice) {
    static const int advices[] = {
        [READ_SOON] = MADV_POPULATE_READ,
        [READ_NO_MORE] = MADV_DONTNEED,
        [READ_PLACES] = MADV_RANDOM,
        [READ_AS_USUAL] = MADV_NORMAL,
    };
    size_t before = (size_t)((uintptr_t)p % PAGE);
    (void)madvise((void *)(uintptr_t)(p - before), n + before, advices[advice]);
}

/* Any refusal means the rest is left: a real error comes back when it is written. */
size_t fs_copy(int to, int fd, uint64_t offset, size_t n, const atomic_bool *stop) {
    size_t done = 0;
#ifdef SYS_copy_file_range /* glibc has a function for it from 2.27 on */
    while (done < n && !(stop && atomic_load(stop))) {
        off_t from = (off_t)(offset + done);
        size_t step = n - done < IO_MAX ? n - done : IO_MAX;
        long r = syscall(SYS_copy_file_range, fd, &from, to, NULL, step, 0);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            break;
        done += (size_t)r;
    }
#else
    (void)to, (void)fd, (void)offset, (void)n, (void)stop;
#endif
    return done;
}

/* --- paths ---------------------------------------------------------------------- */

Str file_name(Str path) {
    return str_after_last(path, '/');
}

char *fs_real_path(const char *path) {
    return realpath(path, NULL);
}

size_t fs_root_length(Str real_path) {
    (void)real_path;
    return 0;
}

const char *fs_bad_location(Str location) {
    return location.n >= PATH_MAX ? "its path is too long" : NULL;
}

static void close_keeping_errno(int fd) {
    int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
}

/* Opens base/inside where both are free of links, one component at a time: a link put
 * there since the check fails instead of being followed. */
static int open_without_links(const char *base, char *inside) {
    int fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (char *slash; fd >= 0 && (slash = strchr(inside, '/')); inside = slash + 1) {
        *slash = '\0';
        int next = openat(fd, inside, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        close_keeping_errno(fd);
        fd = next;
    }
    if (fd < 0)
        return -1;
    /* O_NONBLOCK: opening a FIFO must not wait for a writer. */
    int file = openat(fd, inside, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    close_keeping_errno(fd);
    return file;
}

/* `full` is consumed. */
static int open_resolved(const char *base, char *full, const char **why) {
    if (strcmp(full, base) == 0) {
        errno = EISDIR;
        return -1;
    }
    if (!file_is_inside(base, full)) {
        *why = "it is reached through a link that leaves the model's folder";
        return -1;
    }
    size_t n = strlen(base);
    return open_without_links(base, full + n + (full[n] == '/'));
}

int fs_open_inside(const char *base, const char *path, const char **why) {
    char *full = realpath(path, NULL);
    int fd = full ? open_resolved(base, full, why) : -1;
    int error = errno;
    free(full);
    errno = error;
    return fd;
}

#endif
