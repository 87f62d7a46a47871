// Standard output and standard error: `printf` and `fprintf(stderr, ...)` write lines to the run's log.
//
// The C library calls these functions of WASI (wasi_snapshot_preview1) by their linker symbols. They are defined here, so
// that a script which formats text needs no WASI of the host. Other functions of WASI stay imports.

#include "convert.h"
#include "llem/report.h"

enum { STANDARD_OUTPUT = 1, STANDARD_ERROR = 2 };

/// The numbers of WASI's errors.
enum { SUCCESS = 0, BAD_FILE = 8, NOT_SEEKABLE = 70 };

/// WASI's number of the type of a terminal.
enum { CHARACTER_DEVICE = 2 };

typedef struct io_vector {
    const char *bytes;
    size_t length;
} io_vector;

/// The beginning of a line whose end has not been written yet.
typedef struct line {
    char bytes[1024];
    size_t length;
} line;

static line lines[2];

static void write_byte(line *to, llem_level level, char byte) {
    if (byte != '\n') {
        to->bytes[to->length++] = byte;
    }
    if (byte == '\n' || to->length == sizeof to->bytes) {
        host_string_t message = {(uint8_t *)to->bytes, to->length};
        WIT(report_log)((WIT(report_level_t))level, &message);
        to->length = 0;
    }
}

int32_t __imported_wasi_snapshot_preview1_fd_write(int32_t file, int32_t vectors, int32_t count, int32_t written) {
    if (file != STANDARD_OUTPUT && file != STANDARD_ERROR) {
        return BAD_FILE;
    }
    const io_vector *all = (const io_vector *)vectors;
    size_t total = 0;
    for (int32_t index = 0; index < count; index++) {
        for (size_t at = 0; at < all[index].length; at++) {
            write_byte(&lines[file - STANDARD_OUTPUT], file == STANDARD_OUTPUT ? LLEM_INFO : LLEM_WARN,
                       all[index].bytes[at]);
        }
        total += all[index].length;
    }
    *(size_t *)written = total;
    return SUCCESS;
}

int32_t __imported_wasi_snapshot_preview1_fd_seek(int32_t file, int64_t offset, int32_t whence, int32_t position) {
    (void)file, (void)offset, (void)whence, (void)position;
    return NOT_SEEKABLE;
}

/// The properties of a file, in the layout of WASI.
typedef struct file_status {
    uint8_t type;
    uint16_t flags;
    uint64_t rights;
    uint64_t inheriting_rights;
} file_status;

/// Says that the files are terminals, so that the C library writes each line as soon as it is complete.
int32_t __imported_wasi_snapshot_preview1_fd_fdstat_get(int32_t file, int32_t status) {
    if (file != STANDARD_OUTPUT && file != STANDARD_ERROR) {
        return BAD_FILE;
    }
    *(file_status *)status = (file_status){.type = CHARACTER_DEVICE};
    return SUCCESS;
}

int32_t __imported_wasi_snapshot_preview1_fd_close(int32_t file) {
    (void)file;
    return BAD_FILE;
}
