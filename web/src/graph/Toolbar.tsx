/** Buttons for zoom and for opening everything. */
import type { Controller } from "./controller";
import { graphStrings } from "../strings";

interface ButtonProps {
    label: string;
    sign: string;
    testid: string;
    onClick(): void;
}

function Button({ label, sign, testid, onClick }: ButtonProps) {
    return (
        <button
            type="button"
            class="oxg-button"
            aria-label={label}
            title={label}
            data-testid={testid}
            onClick={onClick}
        >
            {sign}
        </button>
    );
}

/** The buttons over the canvas. */
export function Toolbar({ controller }: { controller: Controller | null }) {
    const zoom = (factor: number): void => {
        if (!controller) return;
        const { stage } = controller;
        stage.camera.zoomBy(factor, stage.width / 2, stage.height / 2);
        stage.invalidate();
    };
    const buttons: ButtonProps[] = [
        {
            label: graphStrings.zoomIn,
            sign: "+",
            testid: "zoom-in",
            onClick: () => zoom(1.4),
        },
        {
            label: graphStrings.zoomOut,
            sign: "−",
            testid: "zoom-out",
            onClick: () => zoom(1 / 1.4),
        },
        {
            label: graphStrings.zoomAll,
            sign: "⤢",
            testid: "zoom-all",
            onClick: () => controller?.stage.showAll(true),
        },
        {
            label: graphStrings.expandAll,
            sign: "⊞",
            testid: "open-all",
            onClick: () => controller?.openAll(),
        },
        {
            label: graphStrings.collapseAll,
            sign: "⊟",
            testid: "close-all",
            onClick: () => controller?.closeAll(),
        },
    ];
    return (
        <div class="oxg-tools">
            {buttons.map((button) => (
                <Button key={button.testid} {...button} />
            ))}
        </div>
    );
}
