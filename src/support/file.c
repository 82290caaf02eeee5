/* POSIX files.  Two rules make this longer than open and write: a model may name other
 * files but must not reach outside its folder, and an output file is never half there.
 * Large runs of bytes go from file to file in the kernel, without a buffer of ours. */
#define _GNU_SOURCE /* syscall */
#define _FILE_OFFSET_BITS 64
#include "support/file.h"

#ifdef OX_NO_FILES
typedef int nothing_here; /* ISO C wants one declaration */
#else

#include <errno.h>
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

enum {
    READ_STEP = 1 << 16,  /* first size of a buffer for a pipe */
    OUT_BUFFER = 1 << 16, /* larger writes go straight to the file */
    IO_MAX = 1 << 26,     /* bytes in one call, which a signal cannot stop */
    MAP_WINDOW = 4 << 20, /* mapped bytes on their way out at one time */
    PAGE = 4096,          /* block size of common file systems */
    TEMP_TRIES = 100,
};

/* --- input ---------------------------------------------------------------------- */

static const FileMap no_map = {.fd = -1};

static void close_keeping_errno(int fd) {
    int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
}

/* Reads until n bytes or the end of file; -1 on error. */
static ssize_t read_full(int fd, char *p, size_t n) {
    size_t got = 0;
    while (got < n) {
        size_t step = n - got < IO_MAX ? n - got : IO_MAX;
        ssize_t r = read(fd, p + got, step);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -1;
        if (r == 0)
            break;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

static bool read_all(FileMap *m, int fd) {
    size_t n = 0, cap = READ_STEP;
    char *p = malloc(cap);
    while (p) {
        ssize_t got = read_full(fd, p + n, cap - n);
        if (got < 0)
            break;
        n += (size_t)got;
        if (n < cap) {
            *m = (FileMap){{p, n}, -1, false};
            return true;
        }
        char *larger = cap <= SIZE_MAX / 4 ? realloc(p, cap * 2) : NULL;
        if (!larger) {
            errno = ENOMEM;
            break;
        }
        p = larger;
        cap *= 2;
    }
    free(p);
    return false;
}

/* Takes over fd, which stays open as the source of out_copy. */
static bool map_regular(FileMap *m, int fd, off_t length) {
    if ((uintmax_t)length > SIZE_MAX) {
        errno = EFBIG;
        return false;
    }
    size_t n = (size_t)length;
    void *p = n ? mmap(NULL, n, PROT_READ, MAP_SHARED, fd, 0) : NULL;
    if (p == MAP_FAILED)
        return false;
    *m = (FileMap){{p ? p : "", n}, fd, p != NULL};
    return true;
}

static bool map_fd(FileMap *m, int fd, bool regular_only) {
    struct stat st;
    if (fstat(fd, &st) != 0)
        return false;
    if (S_ISREG(st.st_mode) && lseek(fd, 0, SEEK_CUR) == 0)
        return map_regular(m, fd, st.st_size);
    if (regular_only || S_ISDIR(st.st_mode)) {
        errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
        return false;
    }
    return read_all(m, fd);
}

bool file_map(FileMap *m, const char *path) {
    *m = no_map;
    /* Standard input is duplicated so that every map owns its descriptor. */
    int fd = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                                    : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = map_fd(m, fd, false);
    if (m->fd != fd)
        close_keeping_errno(fd);
    return ok;
}

bool file_map_regular(FileMap *m, const char *path) {
    *m = no_map;
    /* Opening a pipe would otherwise wait for its other end. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    bool ok = map_fd(m, fd, true);
    if (m->fd != fd)
        close_keeping_errno(fd);
    return ok;
}

void file_unmap(FileMap *m) {
    if (m->mapped)
        munmap((void *)(uintptr_t)m->bytes.p, m->bytes.n);
    else if (m->fd < 0)
        free((void *)(uintptr_t)m->bytes.p);
    if (m->fd >= 0 && m->bytes.p)
        close(m->fd);
    *m = no_map;
}

/* --- files beside the model ----------------------------------------------------- */

static const char *bad_location(Str location) {
    return location.n >= PATH_MAX ? "its path is too long"
                                  : source_bad_location(location);
}

/* "a/b/model.onnx" -> "a/b/" + tail, "model.onnx" -> "./" + tail. */
static char *join_folder(const char *model_path, Str tail) {
    const char *slash = strrchr(model_path, '/');
    Str folder =
        slash ? (Str){model_path, (size_t)(slash - model_path) + 1} : STR("./");
    char *p = malloc(folder.n + tail.n + 1);
    if (!p)
        return NULL;
    memcpy(p, folder.p, folder.n);
    if (tail.n)
        memcpy(p + folder.n, tail.p, tail.n);
    p[folder.n + tail.n] = '\0';
    return p;
}

static char *resolve_beside(const char *model_path, Str tail) {
    char *joined = join_folder(model_path, tail);
    char *resolved = joined ? realpath(joined, NULL) : NULL;
    free(joined);
    return resolved;
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

/* `full` is consumed.  -1 with *why, or with errno when *why is NULL. */
static int open_inside(const char *base, char *full, const char **why) {
    size_t n = strlen(base);
    bool root = n == 1; /* "/" already ends with the separator */
    if (strcmp(full, base) == 0) {
        errno = EISDIR;
        return -1;
    }
    if (strncmp(full, base, n) != 0 || (!root && full[n] != '/')) {
        *why = "it is reached through a link that leaves the model's folder";
        return -1;
    }
    return open_without_links(base, full + n + (root ? 0 : 1));
}

static const char *errno_phrase(int error) {
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return "there is no such file";
    case EACCES:
    case EPERM:
        return "it may not be read";
    case ELOOP:
        return "its path goes through a link that changed or does not end";
    case EISDIR:
    case EINVAL:
        return "it is no regular file";
    case ENAMETOOLONG:
        return "its path is too long";
    case ENOMEM:
        return "there is not enough memory";
    case EMFILE:
    case ENFILE:
        return "too many files are open";
    default:
        return "it cannot be read";
    }
}

bool file_map_beside(FileMap *m, const char *model_path, Str location,
                     const char **why) {
    *m = no_map;
    *why = strcmp(model_path, "-") == 0 ? "the model comes from standard input"
                                        : bad_location(location);
    if (*why)
        return false;
    char *base = resolve_beside(model_path, STR("."));
    char *full = base ? resolve_beside(model_path, location) : NULL;
    int fd = full ? open_inside(base, full, why) : -1;
    bool ok = fd >= 0 && map_fd(m, fd, true);
    if (!ok && !*why)
        *why = errno_phrase(errno);
    if (!ok)
        close_keeping_errno(fd);
    free(base);
    free(full);
    return ok;
}

/* --- the names of mapped files -------------------------------------------------- */

bool file_is(const FileMap *m, const char *path) {
    struct stat mapped, named;
    return m->fd >= 0 && fstat(m->fd, &mapped) == 0 && stat(path, &named) == 0 &&
           mapped.st_dev == named.st_dev && mapped.st_ino == named.st_ino;
}

char *file_real_beside(const FileMap *m, const char *model_path, Str location) {
    char *path = resolve_beside(model_path, location);
    if (!path || file_is(m, path))
        return path;
    free(path);
    errno = ESTALE;
    return NULL;
}

void file_relative(Text *t, Str folder, Str file) {
    if (folder.n == 1)
        folder.n = 0; /* "/" is the one folder that ends in a slash */
    size_t same = 0;  /* bytes of "/a/b" with which both begin */
    for (size_t i = 1; i < file.n && i <= folder.n; i++)
        if (file.p[i] == '/' && (i == folder.n || folder.p[i] == '/') &&
            memcmp(file.p, folder.p, i) == 0)
            same = i;
    for (size_t i = same; i < folder.n; i++)
        if (folder.p[i] == '/')
            text_lit(t, "../");
    text_str(t, (Str){file.p + same + 1, file.n - same - 1});
}

/* --- output --------------------------------------------------------------------- */

static bool out_fail(OutFile *out, int error) {
    if (out->error == 0)
        out->error = error ? error : EIO;
    errno = out->error;
    return false;
}

/* Where the bytes shall end: a link is followed, so that it stays a link. */
static char *final_path(const char *path) {
    struct stat st;
    bool link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
    char *target = link ? realpath(path, NULL) : NULL;
    return target ? target : strdup(path);
}

char *file_out_folder(const char *path) {
    char *end = final_path(path);
    char *folder = end ? resolve_beside(end, STR(".")) : NULL;
    free(end);
    return folder;
}

static bool open_temp(OutFile *out, mode_t mode) {
    size_t n = strlen(out->path) + 40;
    out->temp = malloc(n);
    if (!out->temp)
        return out_fail(out, ENOMEM);
    for (int i = 0; i < TEMP_TRIES && out->fd < 0; i++) {
        snprintf(out->temp, n, "%s.%ld-%d.tmp", out->path, (long)getpid(), i);
        out->fd = open(out->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (out->fd < 0 && errno != EEXIST)
            break;
    }
    if (out->fd >= 0)
        return true;
    int error = errno;
    free(out->temp); /* not ours to remove */
    out->temp = NULL;
    return out_fail(out, error);
}

bool out_open(OutFile *out, const char *path) {
    *out = (OutFile){.fd = -1};
    out->buffer = malloc(OUT_BUFFER);
    out->path = final_path(path);
    if (!out->buffer || !out->path)
        return out_fail(out, ENOMEM);
    if (strcmp(path, "-") == 0) {
        out->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
        return out->fd >= 0 || out_fail(out, errno);
    }
    struct stat st;
    bool exists = stat(out->path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode))
        return out_fail(out, EISDIR);
    if (!exists || S_ISREG(st.st_mode)) {
        if (!open_temp(out, 0666))
            return false;
        /* A file that is replaced keeps its permissions, as when written in place. */
        if (exists)
            (void)!fchmod(out->fd, st.st_mode & 0777);
        return true;
    }
    out->fd = open(out->path, O_WRONLY | O_CLOEXEC);
    return out->fd >= 0 || out_fail(out, errno);
}

static bool is_stopped(const OutFile *out) {
    return out->stop && atomic_load(out->stop);
}

static bool write_now(OutFile *out, const char *p, size_t n) {
    while (n > 0) {
        if (is_stopped(out))
            return out_fail(out, EINTR);
        ssize_t put = write(out->fd, p, n < IO_MAX ? n : IO_MAX);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return out_fail(out, put < 0 ? errno : ENOSPC);
        p += put;
        n -= (size_t)put;
    }
    return true;
}

static bool flush(OutFile *out) {
    size_t n = out->filled;
    out->filled = 0;
    return write_now(out, out->buffer, n);
}

bool out_write(OutFile *out, const void *data, size_t n) {
    if (out->error)
        return out_fail(out, out->error);
    if (n == 0)
        return true;
    out->size += n;
    if (n > OUT_BUFFER - out->filled && !flush(out))
        return false;
    if (n >= OUT_BUFFER)
        return write_now(out, data, n);
    memcpy(out->buffer + out->filled, data, n);
    out->filled += n;
    return true;
}

/* Copies in the kernel as far as that works; the rest is left to the caller.  Any
 * refusal means the rest: a real error comes back when the bytes are written. */
static size_t copy_in_kernel(OutFile *out, int fd, uint64_t offset, size_t n) {
    size_t done = 0;
#ifdef SYS_copy_file_range /* glibc has a function for it from 2.27 on */
    while (done < n && !is_stopped(out)) {
        off_t from = (off_t)(offset + done);
        size_t step = n - done < IO_MAX ? n - done : IO_MAX;
        long r = syscall(SYS_copy_file_range, fd, &from, out->fd, NULL, step, 0);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            break;
        done += (size_t)r;
    }
#else
    (void)out, (void)fd, (void)offset, (void)n;
#endif
    return done;
}

/* Reading a mapping past the end of a file that has shrunk would raise SIGBUS. */
static bool still_there(const FileMap *src, uint64_t end) {
    struct stat st;
    return !src->mapped || (fstat(src->fd, &st) == 0 && (uint64_t)st.st_size >= end);
}

/* What madvise takes: whole pages. */
static bool advise(const char *p, size_t n, int advice) {
    size_t before = (size_t)((uintptr_t)p % PAGE);
    return madvise((void *)(uintptr_t)(p - before), n + before, advice) == 0;
}

/* Writes mapped bytes.  The kernel copies from page to page; entering the pages into
 * the page table beforehand is cheaper than the faults of write, and dropping them
 * afterwards keeps a model of many gigabytes from counting as memory in use. */
static bool write_mapped(OutFile *out, const char *p, size_t n) {
    out->size += n;
    while (n > 0) {
        size_t step = n < MAP_WINDOW ? n : MAP_WINDOW;
        (void)advise(p, step, MADV_POPULATE_READ);
        if (!write_now(out, p, step))
            return false;
        (void)advise(p, step, MADV_DONTNEED);
        p += step;
        n -= step;
    }
    return true;
}

/* File systems that share blocks do so for whole ones.  At any other offset
 * copy_file_range moves parts of pages, at 1.4 times the cost of write_mapped. */
static bool shares_blocks(const OutFile *out, uint64_t offset) {
    return offset % PAGE == 0 && out->size % PAGE == 0;
}

void file_begin_sample(const FileMap *m, Str bytes) {
    if (m->mapped && bytes.n > OUT_BUFFER)
        (void)advise(bytes.p, bytes.n, MADV_RANDOM);
}

void file_end_sample(const FileMap *m, Str bytes) {
    if (!m->mapped || bytes.n <= OUT_BUFFER)
        return;
    (void)advise(bytes.p, bytes.n, MADV_DONTNEED);
    (void)advise(bytes.p, bytes.n, MADV_NORMAL);
}

bool out_copy(OutFile *out, const FileMap *src, uint64_t offset, size_t n) {
    if (out->error)
        return out_fail(out, out->error);
    if (offset > src->bytes.n || n > src->bytes.n - offset)
        return out_fail(out, EINVAL);
    bool large = n >= OUT_BUFFER && src->fd >= 0;
    if (large && !flush(out))
        return false;
    bool shared = large && shares_blocks(out, offset);
    size_t done = shared ? copy_in_kernel(out, src->fd, offset, n) : 0;
    out->size += done;
    if (done == n)
        return true;
    if (!still_there(src, offset + n))
        return out_fail(out, EIO);
    const char *rest = src->bytes.p + offset + done;
    return large && src->mapped ? write_mapped(out, rest, n - done)
                                : out_write(out, rest, n - done);
}

bool out_source(OutFile *out, Source *src, uint64_t offset, uint64_t n) {
    if (src->memory)
        return out_write(out, src->memory + offset, (size_t)n);
    while (n > 0) {
        size_t step = n < OUT_BUFFER ? (size_t)n : OUT_BUFFER;
        if (out->error || !flush(out))
            return out_fail(out, out->error);
        if (!source_read(src, offset, out->buffer, step))
            return out_fail(out, EIO);
        out->filled = step;
        out->size += step;
        offset += step;
        n -= step;
    }
    return true;
}

static void out_free(OutFile *out) {
    free(out->path);
    free(out->temp);
    free(out->buffer);
    *out = (OutFile){.fd = -1, .error = out->error, .size = out->size};
}

bool out_finish(OutFile *out) {
    if (!out->error && out->fd >= 0)
        flush(out);
    if (out->fd >= 0 && close(out->fd) != 0 && errno != EINTR)
        out_fail(out, errno);
    out->fd = -1;
    return out->error == 0 || out_fail(out, out->error);
}

bool out_commit(OutFile *out) {
    out_finish(out);
    if (!out->error && out->temp && rename(out->temp, out->path) != 0)
        out_fail(out, errno);
    if (out->error && out->temp)
        unlink(out->temp);
    out_free(out);
    return out->error == 0 || out_fail(out, out->error);
}

void out_abort(OutFile *out) {
    if (out->fd >= 0)
        close(out->fd);
    if (out->temp)
        unlink(out->temp);
    out_free(out);
}

#endif
