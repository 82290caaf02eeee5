/** A store of one immutable state, and a hook that reads a part of it. */
import { useEffect, useState } from "preact/hooks";

/** Holds a state, replaces parts of it, and tells who listens. */
export interface Store<S> {
    get(): S;
    set(change: Partial<S>): void;
    subscribe(listener: () => void): () => void;
}

/** A store that begins with `state`. */
export function createStore<S extends object>(state: S): Store<S> {
    const listeners = new Set<() => void>();
    return {
        get: () => state,
        set(change) {
            state = { ...state, ...change };
            for (const listener of [...listeners]) listener();
        },
        subscribe(listener) {
            listeners.add(listener);
            return () => listeners.delete(listener);
        },
    };
}

/** What `pick` reads of the store; the component is drawn again when that changes. */
export function useStore<S extends object, T>(
    store: Store<S>,
    pick: (state: S) => T,
): T {
    const [, redraw] = useState(0);
    const value = pick(store.get());
    useEffect(() => {
        let seen = value;
        const check = () => {
            const now = pick(store.get());
            if (Object.is(now, seen)) return;
            seen = now;
            redraw((n) => n + 1);
        };
        check();
        return store.subscribe(check);
    });
    return value;
}
