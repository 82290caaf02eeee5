/** Files as the compiler reads them: a size, and bytes on demand. */

/**
 * Bytes that are read when they are asked for, and synchronously, as the compiler cannot
 * wait. A file that is open in Node is one (`fileBytes`), and a Blob in a worker
 * (`blobBytes`).
 */
export interface Bytes {
    /** Size of the whole in bytes. */
    readonly size: number;
    /**
     * Bytes `[offset, offset + length)`, which lie inside. May give fewer, but not none, and
     * gives the same each time. An exception becomes an error of the model that is read.
     */
    read(offset: number, length: number): Uint8Array;
}

/** Bytes that are in memory already; they are not copied. */
export function memoryBytes(array: Uint8Array): Bytes {
    return {
        size: array.length,
        read: (offset, length) => array.subarray(offset, offset + length),
    };
}
