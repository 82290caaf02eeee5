/** Workers that are bound by the page's content security policy. */

/**
 * Starts the module at `address` (of `?worker&url`) as a worker. One that is started from
 * its address has only the policy of its own response, and a static host sends none; one
 * that is started from a blob has the page's, which lets nothing out.
 */
export function startWorker(address: string): Worker {
    const url = new URL(address, document.baseURI).href;
    const script = new Blob([`import ${JSON.stringify(url)};`], {
        type: "text/javascript",
    });
    const blob = URL.createObjectURL(script);
    const worker = new Worker(blob, { type: "module" });
    // The worker reads its script when it starts, which is not now.
    setTimeout(() => URL.revokeObjectURL(blob), 60_000);
    return worker;
}
