/** The compiler's messages, as the command line prints them. */
import { readMessages } from "../model/messages";

/** All messages of a text, in colours. */
export function Messages({ text }: { text: string }) {
    return (
        <div class="messages">
            {readMessages(text).map((message, i) => (
                <pre key={i} class={`message ${message.severity}`} tabIndex={0}>
                    <b class="severity">
                        {message.severity}
                        {message.code && `[${message.code}]`}
                    </b>
                    {`: ${message.text}\n`}
                    {message.where.length > 0 && (
                        <span class="where">{message.where.join("\n") + "\n"}</span>
                    )}
                    {message.help.length > 0 && (
                        <span class="help">{message.help.join("\n") + "\n"}</span>
                    )}
                </pre>
            ))}
        </div>
    );
}
