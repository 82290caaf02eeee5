/** A model that could not be opened, and what to do about it. */
import { store } from "../state";
import { useStore } from "../store";
import { strings } from "../strings";
import { Messages } from "./Messages";
import { Picker } from "./Picker";

/** The messages, and a way to add files or open others. */
export function Failed() {
    const title = useStore(store, (s) => s.title);
    const failure = useStore(store, (s) => s.failure);
    const lacksData = failure.includes("[OX0005]");
    return (
        <section class="failed" aria-labelledby="failed-title">
            <h1 id="failed-title">{strings.notOpened(title)}</h1>
            <div role="alert">
                <Messages text={failure} />
            </div>
            {lacksData && <p>{strings.missingData}</p>}
            <div class="row">
                <Picker
                    class="primary"
                    label={lacksData ? strings.addFiles : strings.tryAgain}
                />
                <Picker folder />
            </div>
        </section>
    );
}
