/** The bundled examples, which tools/web_examples.py writes. */
import type { MadeUp } from "./protocol";

/** An entry of examples.json. */
export interface Example {
    name: string;
    title: string;
    about: string;
    size: number;
    data: MadeUp | null;
}

const folder = new URL("./examples/", document.baseURI);

/** The list of examples. */
export async function listExamples(): Promise<Example[]> {
    const response = await fetch(new URL("examples.json", folder));
    return response.ok ? ((await response.json()) as Example[]) : [];
}

/** The model of an example, as a file. */
export async function exampleFile({ name }: Example): Promise<File> {
    const response = await fetch(new URL(`${name}.onnx`, folder));
    if (!response.ok) throw new Error(`${response.status} ${name}.onnx`);
    return new File([await response.blob()], `${name}.onnx`);
}
