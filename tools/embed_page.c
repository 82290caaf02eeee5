/* Writes files as C: embed_page OUT.c FILE...  The build runs it for the parts of the page
 * that `inspect --format html` writes.  page.css becomes `const EmbeddedFile page_css`. */
#include <stdio.h>
#include <string.h>

enum { BYTES_A_LINE = 24 };

/* page.css -> page_css */
static void put_name(FILE *out, const char *path) {
    const char *slash = strrchr(path, '/');
    for (const char *p = slash ? slash + 1 : path; *p; p++)
        fputc(*p == '.' ? '_' : *p, out);
}

static int embed(FILE *out, const char *path) {
    FILE *in = fopen(path, "rb");
    if (!in)
        return 1;
    fputs("static const char text_", out);
    put_name(out, path);
    fputs("[] = {", out);
    size_t n = 0;
    for (int c; (c = fgetc(in)) != EOF; n++) {
        int byte = c < 128 ? c : c - 256; /* as a char that may have a sign */
        fprintf(out, "%s%d,", n % BYTES_A_LINE ? "" : "\n    ", byte);
    }
    fputs("\n    0};\nconst EmbeddedFile ", out);
    put_name(out, path);
    fputs(" = {text_", out);
    put_name(out, path);
    fprintf(out, ", %zu};\n\n", n);
    int failed = ferror(in);
    fclose(in);
    return failed;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fputs("usage: embed_page OUT.c FILE...\n", stderr);
        return 2;
    }
    FILE *out = fopen(argv[1], "wb");
    if (!out) {
        perror(argv[1]);
        return 1;
    }
    fputs("/* Made by tools/embed_page.c. */\n#include \"inspect/page.h\"\n\n", out);
    int failed = 0;
    for (int i = 2; i < argc; i++)
        failed |= embed(out, argv[i]);
    failed |= ferror(out);
    return fclose(out) != 0 || failed;
}
