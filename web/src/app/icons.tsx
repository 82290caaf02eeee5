/** Icons of 20 px, drawn with the colour of the text. */
import type { ComponentChildren } from "preact";

const icon = (children: ComponentChildren) => (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true">
        {children}
    </svg>
);

/** All icons by what they mean. */
export const Icons = {
    mark: (
        <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
            <path d="M16 2 29 9.5v13L16 30 3 22.5v-13z" class="mark-body" />
            <path d="M16 8.5 23 12.5v8L16 24.5 9 20.5v-8z" class="mark-line" />
            <circle cx="16" cy="16.5" r="2.6" class="mark-dot" />
        </svg>
    ),
    sun: icon(
        <>
            <circle cx="10" cy="10" r="3.4" />
            <path d="M10 2v2M10 16v2M2 10h2M16 10h2M4.3 4.3l1.5 1.5M14.2 14.2l1.5 1.5M4.3 15.7l1.5-1.5M14.2 5.8l1.5-1.5" />
        </>,
    ),
    moon: icon(<path d="M16.5 12.2A7 7 0 0 1 7.8 3.5a7 7 0 1 0 8.7 8.7z" />),
    file: icon(<path d="M11.5 2.5h-6v15h9v-12zM11.5 2.5v3h3" />),
    folder: icon(<path d="M2.5 15.5v-11h5l1.5 2h8.5v9z" />),
    close: icon(<path d="M5 5l10 10M15 5L5 15" />),
    keyboard: icon(
        <path d="M2.5 5.5h15v9h-15zM5.5 8.5h.01M8.5 8.5h.01M11.5 8.5h.01M14.5 8.5h.01M6.5 11.5h7" />,
    ),
    copy: icon(<path d="M7.5 7.5h9v9h-9zM4.5 12.5h-1v-9h9v1" />),
    check: icon(<path d="M4 10.5l4 4 8-9" />),
    search: icon(
        <>
            <circle cx="9" cy="9" r="5" />
            <path d="M13 13l4 4" />
        </>,
    ),
    up: icon(<path d="M5 12l5-5 5 5" />),
    down: icon(<path d="M5 8l5 5 5-5" />),
    download: icon(<path d="M10 3v9M6 8.5l4 4 4-4M4 16.5h12" />),
    lock: icon(<path d="M5 9.5h10v7H5zM7 9.5v-3a3 3 0 0 1 6 0v3" />),
    graph: icon(
        <path d="M7 3.5h6v4H7zM2.5 12.5h6v4h-6zM11.5 12.5h6v4h-6zM10 7.5V10M5.5 12.5V10h9v2.5" />,
    ),
    three: icon(
        <path d="M10 2.5l6.5 3.7v7.6L10 17.5l-6.5-3.7V6.2zM10 10v7.5M10 10L3.5 6.2M10 10l6.5-3.8" />,
    ),
    code: icon(<path d="M7 5l-4.5 5L7 15M13 5l4.5 5-4.5 5" />),
    report: icon(<path d="M3 16.5h14M5 16.5v-6M10 16.5v-12M15 16.5v-8" />),
    fold: icon(<path d="M6 4l4 4 4-4M6 16l4-4 4 4" />),
    unfold: icon(<path d="M6 8l4-4 4 4M6 12l4 4 4-4" />),
};
