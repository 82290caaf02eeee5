/* Files: read-only maps of the input, and output that appears whole or not at all.
 * Only the library's edge uses this; everything below works from memory.  Builds
 * without a file system (wasm) define OX_NO_FILES and have none of it.
 *
 * A map is shared with the file: a process that truncates the file while it is mapped
 * makes later reads of the lost pages raise SIGBUS, here as in every program that maps
 * its input.  A file that is replaced by rename stays readable. */
#ifndef OX_SUPPORT_FILE_H
#define OX_SUPPORT_FILE_H
#ifndef OX_NO_FILES

#include "support/source.h"

#include <stdatomic.h>

typedef struct FileMap {
    Str bytes;
    int fd;      /* the regular file behind bytes; -1 when they were read from a pipe */
    bool mapped; /* bytes came from mmap, not malloc */
} FileMap;

/* Maps a file; "-" and other things that cannot be mapped (pipes, /dev/stdin) are read
 * into memory.  false with errno set; then `m` is zeroed with fd -1 and needs no
 * unmapping. */
bool file_map(FileMap *m, const char *path);

/* The same for what is a regular file and nothing else: pipes and devices are left
 * alone, with EINVAL. */
bool file_map_regular(FileMap *m, const char *path);

/* Maps the regular file `location` that lies in the folder of `model_path` or below.
 * `location` is hostile: it must be relative, without "..", and links on the way may
 * not lead out of the folder.  false with one phrase in *why ("it is an absolute
 * path"). */
bool file_map_beside(FileMap *m, const char *model_path, Str location,
                     const char **why);

/* Zeroed maps are fine. */
void file_unmap(FileMap *m);

/* Around a look at single pages of mapped bytes: first keeps the kernel from reading
 * their neighbours ahead, then gives the pages back. */
void file_begin_sample(const FileMap *m, Str bytes);
void file_end_sample(const FileMap *m, Str bytes);

/* Whether the path names the file that is mapped. */
bool file_is(const FileMap *m, const char *path);

/* The real path of the mapped file, which was found at `location` beside model_path;
 * NULL with errno set, ESTALE when another file lies there by now.  To be freed. */
char *file_real_beside(const FileMap *m, const char *model_path, Str location);

/* The real path of the folder that out_open(path) would put its file in; NULL with
 * errno set.  To be freed. */
char *file_out_folder(const char *path);

/* How to get from a folder to a file, both as real paths: "../models/m.onnx".  false when
 * there is no way, as between the drives of Windows. */
bool file_relative(Text *t, Str folder, Str file);

/* The name of the file that a path leads to: "a/m.onnx" -> "m.onnx". */
Str file_name(Str path);

/* Whether two paths name one regular file. */
bool file_is_same(const char *a, const char *b);
/* Whether the path names a device or a pipe. */
bool file_is_special(const char *path);
bool file_remove(const char *path);

/* Output under construction: bytes go to a temporary file beside `path`, which
 * out_commit renames.  "-" is standard output, and devices and pipes are written in
 * place; those can of course not be taken back.
 * The first failure is sticky: later calls do nothing and return false, so a writer
 * may check out_commit alone.  `error` is then the errno. */
typedef struct OutFile {
    int fd;
    int error;
    char *path;   /* final place */
    char *temp;   /* NULL when written in place */
    char *buffer; /* small writes gather here */
    size_t filled;
    uint64_t size;           /* bytes given so far */
    const atomic_bool *stop; /* once true, writing fails with EINTR; NULL: never */
} OutFile;

/* Must be followed by out_commit or out_abort, even when it fails. */
bool out_open(OutFile *out, const char *path);
bool out_write(OutFile *out, const void *data, size_t n);
/* Appends src->bytes[offset, offset + n); large runs are copied by the kernel. */
bool out_copy(OutFile *out, const FileMap *src, uint64_t offset, size_t n);
/* The same for a source, which is read a buffer at a time where it is not in memory. */
bool out_source(OutFile *out, Source *src, uint64_t offset, uint64_t n);
/* Writes out and closes, so that only the rename is left for out_commit to fail at. */
bool out_finish(OutFile *out);
/* Finishes and renames.  On any failure, past or present, removes the temporary file,
 * leaves `path` as it was, and returns false.  Frees `out` but for `error`. */
bool out_commit(OutFile *out);
/* Gives up: removes the temporary file.  Nothing happens after out_commit. */
void out_abort(OutFile *out);

#endif
#endif
