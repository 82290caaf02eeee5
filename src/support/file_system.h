/* What file.c asks of the system: file_posix.c, or file_windows.c.  Paths are UTF-8 where
 * the system has a say in it; what fails sets errno, on Windows too.  A descriptor is an
 * int of read and write, of which Windows' C library has some as well. */
#ifndef OX_SUPPORT_FILE_SYSTEM_H
#define OX_SUPPORT_FILE_SYSTEM_H
#ifndef OX_NO_FILES

#include "support/file.h"

#include <errno.h>

#ifndef ESTALE
#define ESTALE ENOENT /* Windows has no such error */
#endif

enum {
    IO_MAX = 1 << 26, /* bytes in one call, which a signal cannot stop */
    PAGE = 4096,      /* block size of common file systems */
};

typedef enum FileKind { KIND_REGULAR, KIND_FOLDER, KIND_OTHER } FileKind;

typedef struct FileState {
    FileKind kind;
    uint64_t size;
    uint64_t volume, id; /* together: which file it is */
    unsigned mode;       /* permissions, as open takes them */
} FileState;

bool fs_state(int fd, FileState *state);
bool fs_state_of(const char *path, FileState *state);
static inline bool fs_is_same(const FileState *a, const FileState *b) {
    return a->volume == b->volume && a->id == b->id;
}

/* -1 on failure.  With `wait`, a pipe is opened when its other end is. */
int fs_open(const char *path, bool wait);
/* Standard input and output once more, for bytes and not for text; -1 on failure. */
int fs_dup_input(void);
int fs_dup_output(void);
/* For writing: what is there, or with `fresh` a file that is not there yet. */
int fs_open_output(const char *path);
int fs_create(const char *path);
/* fd's file takes the permissions of the one that it replaces, as far as there are any. */
void fs_keep_mode(int fd, const FileState *replaced);
bool fs_close(int fd);
/* Whether nothing of the file is read yet. */
bool fs_is_at_start(int fd);

/* One call: the bytes moved, at most IO_MAX; -1 on failure. */
int64_t fs_read(int fd, char *p, size_t n);
int64_t fs_write(int fd, const char *p, size_t n);

/* The first n > 0 bytes of a file; NULL on failure.  Where it is to be read at single
 * places, soon, or not again is advice, which may do nothing. */
void *fs_map(int fd, size_t n);
void fs_unmap(void *p, size_t n);
typedef enum MapAdvice {
    READ_SOON,
    READ_NO_MORE,
    READ_PLACES,
    READ_AS_USUAL
} MapAdvice;
void fs_advise(const char *p, size_t n, MapAdvice advice);

/* Appends n bytes of fd from `offset` on to `to` without a buffer of ours, as far as that
 * works and nobody says stop: how many. */
size_t fs_copy(int to, int fd, uint64_t offset, size_t n, const atomic_bool *stop);

/* A path of the system's own without links, "." and "..", with slashes alone; NULL on
 * failure.  To be freed. */
char *fs_real_path(const char *path);
bool fs_is_link(const char *path);
/* How much of a real path says where all paths begin that can lead to it: 0 on POSIX, on
 * Windows the length of "C:" or "//server/share". */
size_t fs_root_length(Str real_path);
/* Opens base/inside, base a real path, when it lies there; also for pipes it does not wait.
 * -1 on failure, with *why when that is no error of the system. */
int fs_open_inside(const char *base, const char *path, const char **why);
/* Whether a real path lies below another. */
bool file_is_inside(const char *base, const char *full);
/* What is wrong with the path of a data file here, past source_bad_location. */
const char *fs_bad_location(Str location);

bool fs_rename(const char *from, const char *to);
long fs_process(void);

#endif
#endif
