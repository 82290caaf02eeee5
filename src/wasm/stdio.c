/* No standard streams.  wasi-libc's printf refuses a long double with a message on stderr,
 * and so would make every module import functions for files.  No format of ours has one:
 * these take the place of what writes there. */
#include <stdio.h>
#include <sys/types.h>

size_t __stdio_write(FILE *file, const unsigned char *bytes, size_t size);
int __stdio_close(FILE *file);
off_t __stdio_seek(FILE *file, off_t offset, int whence);

size_t __stdio_write(FILE *file, const unsigned char *bytes, size_t size) {
    (void)file, (void)bytes, (void)size;
    return 0;
}

int __stdio_close(FILE *file) {
    (void)file;
    return -1;
}

off_t __stdio_seek(FILE *file, off_t offset, int whence) {
    (void)file, (void)offset, (void)whence;
    return -1;
}
