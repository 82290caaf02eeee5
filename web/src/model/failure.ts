/** A request that failed, with the messages of the command line. */
export class Failure extends Error {
    constructor(readonly messages: string) {
        super(messages);
    }
}
