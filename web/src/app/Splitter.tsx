/** The bar between two panes, which a pointer or the arrow keys move. */

/** `share` is that of the pane behind it, in percent of `parent`. */
export function Splitter(props: {
    label: string;
    share: number;
    onChange(share: number): void;
}) {
    const { label, share, onChange } = props;
    const set = (to: number) => onChange(Math.min(75, Math.max(25, to)));
    const drag = (event: PointerEvent) => {
        const bar = event.currentTarget as HTMLElement;
        if (!bar.hasPointerCapture(event.pointerId)) return;
        const box = bar.parentElement!.getBoundingClientRect();
        set((100 * (box.right - event.clientX)) / box.width);
    };
    return (
        <div
            class="splitter"
            role="separator"
            aria-label={label}
            aria-orientation="vertical"
            aria-valuenow={Math.round(share)}
            aria-valuemin={25}
            aria-valuemax={75}
            tabIndex={0}
            onPointerDown={(event) => {
                event.preventDefault();
                event.currentTarget.setPointerCapture(event.pointerId);
            }}
            onPointerMove={drag}
            onKeyDown={(event) => {
                const by = { ArrowLeft: 4, ArrowRight: -4 }[event.key];
                if (!by) return;
                event.preventDefault();
                set(share + by);
            }}
        />
    );
}
