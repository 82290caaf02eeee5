/** The page of `oxide_xla inspect --format html`: one model, without the compiler. */
import { render } from "preact";
import { restoreTheme, store } from "../state";
import "../styles/base.css";
import "../styles/app.css";
import "../styles/code.css";
import "../styles/report.css";
import { inspected } from "./inspected";
import { Viewer } from "./Viewer";

const textOf = (id: string) => document.getElementById(id)!.textContent!;

restoreTheme();
store.set(inspected(document.title, textOf("report"), textOf("compiled")));
render(<Viewer />, document.getElementById("app")!);
