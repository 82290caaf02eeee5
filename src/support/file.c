/* Files.  Two rules make this longer than open and write: a model may name other files
 * but must not reach outside its folder, and an output file is never half there.  Large
 * runs of bytes go from file to file without a buffer of ours.  What differs between
 * systems is in file_posix.c and file_windows.c. */
#include "support/file_system.h"

#ifdef OX_NO_FILES
typedef int nothing_here; /* ISO C wants one declaration */
#else

#include <stdio.h>
#include <stdlib.h>

enum {
    READ_STEP = 1 << 16,  /* first size of a buffer for a pipe */
    OUT_BUFFER = 1 << 16, /* larger writes go straight to the file */
    MAP_WINDOW = 4 << 20, /* mapped bytes on their way out at one time */
    TEMP_TRIES = 100,
};

/* --- input ---------------------------------------------------------------------- */

static const FileMap no_map = {.fd = -1};

static void close_keeping_errno(int fd) {
    int error = errno;
    if (fd >= 0)
        (void)fs_close(fd);
    errno = error;
}

/* Reads until n bytes or the end of file; false on error. */
static bool read_full(int fd, char *p, size_t n, size_t *got) {
    for (*got = 0; *got < n;) {
        int64_t r = fs_read(fd, p + *got, n - *got);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return r == 0;
        *got += (size_t)r;
    }
    return true;
}

static bool read_all(FileMap *m, int fd) {
    size_t n = 0, cap = READ_STEP;
    char *p = malloc(cap);
    while (p) {
        size_t got;
        if (!read_full(fd, p + n, cap - n, &got))
            break;
        n += got;
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
static bool map_regular(FileMap *m, int fd, uint64_t length) {
    if (length > SIZE_MAX) {
        errno = EFBIG;
        return false;
    }
    size_t n = (size_t)length;
    void *p = n ? fs_map(fd, n) : NULL;
    if (n && !p)
        return false;
    *m = (FileMap){{p ? p : "", n}, fd, p != NULL};
    return true;
}

static bool map_fd(FileMap *m, int fd, bool regular_only) {
    FileState state;
    if (!fs_state(fd, &state))
        return false;
    if (state.kind == KIND_REGULAR && fs_is_at_start(fd))
        return map_regular(m, fd, state.size);
    if (regular_only || state.kind == KIND_FOLDER) {
        errno = state.kind == KIND_FOLDER ? EISDIR : EINVAL;
        return false;
    }
    return read_all(m, fd);
}

bool file_map(FileMap *m, const char *path) {
    *m = no_map;
    /* Standard input is duplicated so that every map owns its descriptor. */
    int fd = strcmp(path, "-") == 0 ? fs_dup_input() : fs_open(path, true);
    if (fd < 0)
        return false;
    bool ok = map_fd(m, fd, false);
    if (m->fd != fd)
        close_keeping_errno(fd);
    return ok;
}

bool file_map_regular(FileMap *m, const char *path) {
    *m = no_map;
    int fd = fs_open(path, false);
    if (fd < 0)
        return false;
    bool ok = map_fd(m, fd, true);
    if (m->fd != fd)
        close_keeping_errno(fd);
    return ok;
}

void file_unmap(FileMap *m) {
    if (m->mapped)
        fs_unmap((void *)(uintptr_t)m->bytes.p, m->bytes.n);
    else if (m->fd < 0)
        free((void *)(uintptr_t)m->bytes.p);
    if (m->fd >= 0 && m->bytes.p)
        (void)fs_close(m->fd);
    *m = no_map;
}

/* --- files beside the model ----------------------------------------------------- */

/* "a/b/model.onnx" -> "a/b/" + tail, "model.onnx" -> "./" + tail. */
static char *join_folder(const char *model_path, Str tail) {
    size_t before = (size_t)(file_name(str_from(model_path)).p - model_path);
    Str folder = before ? (Str){model_path, before} : STR("./");
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
    char *resolved = joined ? fs_real_path(joined) : NULL;
    free(joined);
    return resolved;
}

bool file_is_inside(const char *base, const char *full) {
    size_t n = strlen(base);
    bool root = base[n - 1] == '/'; /* which already ends with the separator */
    return strncmp(full, base, n) == 0 && (root || full[n] == '/');
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
                                        : fs_bad_location(location);
    if (!*why)
        *why = source_bad_location(location);
    if (*why)
        return false;
    char *base = resolve_beside(model_path, STR("."));
    char *path = base ? join_folder(model_path, location) : NULL;
    int fd = path ? fs_open_inside(base, path, why) : -1;
    bool ok = fd >= 0 && map_fd(m, fd, true);
    if (!ok && !*why)
        *why = errno_phrase(errno);
    if (!ok)
        close_keeping_errno(fd);
    free(base);
    free(path);
    return ok;
}

/* --- the names of mapped files -------------------------------------------------- */

bool file_is(const FileMap *m, const char *path) {
    FileState mapped, named;
    return m->fd >= 0 && fs_state(m->fd, &mapped) && fs_state_of(path, &named) &&
           fs_is_same(&mapped, &named);
}

bool file_is_same(const char *a, const char *b) {
    FileState first, second;
    return fs_state_of(a, &first) && fs_state_of(b, &second) &&
           first.kind == KIND_REGULAR && fs_is_same(&first, &second);
}

bool file_is_special(const char *path) {
    FileState state;
    return fs_state_of(path, &state) && state.kind == KIND_OTHER;
}

char *file_real_beside(const FileMap *m, const char *model_path, Str location) {
    char *path = resolve_beside(model_path, location);
    if (!path || file_is(m, path))
        return path;
    free(path);
    errno = ESTALE;
    return NULL;
}

bool file_relative(Text *t, Str folder, Str file) {
    size_t root = fs_root_length(file);
    if (root != fs_root_length(folder) || memcmp(folder.p, file.p, root) != 0)
        return false;
    folder = (Str){folder.p + root, folder.n - root};
    file = (Str){file.p + root, file.n - root};
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
    return true;
}

/* --- output --------------------------------------------------------------------- */

static bool out_fail(OutFile *out, int error) {
    if (out->error == 0)
        out->error = error ? error : EIO;
    errno = out->error;
    return false;
}

static char *copy_text(const char *text) {
    size_t n = strlen(text) + 1;
    char *copy = malloc(n);
    return copy ? memcpy(copy, text, n) : NULL;
}

/* Where the bytes shall end: a link is followed, so that it stays a link. */
static char *final_path(const char *path) {
    char *target = fs_is_link(path) ? fs_real_path(path) : NULL;
    return target ? target : copy_text(path);
}

char *file_out_folder(const char *path) {
    char *end = final_path(path);
    char *folder = end ? resolve_beside(end, STR(".")) : NULL;
    free(end);
    return folder;
}

static bool open_temp(OutFile *out) {
    size_t n = strlen(out->path) + 40;
    out->temp = malloc(n);
    if (!out->temp)
        return out_fail(out, ENOMEM);
    for (int i = 0; i < TEMP_TRIES && out->fd < 0; i++) {
        snprintf(out->temp, n, "%s.%ld-%d.tmp", out->path, fs_process(), i);
        out->fd = fs_create(out->temp);
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
        out->fd = fs_dup_output();
        return out->fd >= 0 || out_fail(out, errno);
    }
    FileState old;
    bool exists = fs_state_of(out->path, &old);
    if (exists && old.kind == KIND_FOLDER)
        return out_fail(out, EISDIR);
    if (!exists || old.kind == KIND_REGULAR) {
        if (!open_temp(out))
            return false;
        /* A file that is replaced keeps its permissions, as when written in place. */
        if (exists)
            fs_keep_mode(out->fd, &old);
        return true;
    }
    out->fd = fs_open_output(out->path);
    return out->fd >= 0 || out_fail(out, errno);
}

static bool is_stopped(const OutFile *out) {
    return out->stop && atomic_load(out->stop);
}

static bool write_now(OutFile *out, const char *p, size_t n) {
    while (n > 0) {
        if (is_stopped(out))
            return out_fail(out, EINTR);
        int64_t put = fs_write(out->fd, p, n);
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

/* Reading a mapping past the end of a file that has shrunk would raise SIGBUS. */
static bool still_there(const FileMap *src, uint64_t end) {
    FileState state;
    return !src->mapped || (fs_state(src->fd, &state) && state.size >= end);
}

/* Writes mapped bytes.  The kernel copies from page to page; entering the pages into
 * the page table beforehand is cheaper than the faults of write, and dropping them
 * afterwards keeps a model of many gigabytes from counting as memory in use. */
static bool write_mapped(OutFile *out, const char *p, size_t n) {
    out->size += n;
    while (n > 0) {
        size_t step = n < MAP_WINDOW ? n : MAP_WINDOW;
        fs_advise(p, step, READ_SOON);
        if (!write_now(out, p, step))
            return false;
        fs_advise(p, step, READ_NO_MORE);
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
        fs_advise(bytes.p, bytes.n, READ_PLACES);
}

void file_end_sample(const FileMap *m, Str bytes) {
    if (!m->mapped || bytes.n <= OUT_BUFFER)
        return;
    fs_advise(bytes.p, bytes.n, READ_NO_MORE);
    fs_advise(bytes.p, bytes.n, READ_AS_USUAL);
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
    size_t done = shared ? fs_copy(out->fd, src->fd, offset, n, out->stop) : 0;
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
    if (out->fd >= 0 && !fs_close(out->fd) && errno != EINTR)
        out_fail(out, errno);
    out->fd = -1;
    return out->error == 0 || out_fail(out, out->error);
}

bool out_commit(OutFile *out) {
    out_finish(out);
    if (!out->error && out->temp && !fs_rename(out->temp, out->path))
        out_fail(out, errno);
    if (out->error && out->temp)
        file_remove(out->temp);
    out_free(out);
    return out->error == 0 || out_fail(out, out->error);
}

void out_abort(OutFile *out) {
    if (out->fd >= 0)
        (void)fs_close(out->fd);
    if (out->temp)
        file_remove(out->temp);
    out_free(out);
}

#endif
