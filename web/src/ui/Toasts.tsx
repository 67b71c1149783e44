// The notices in the corner.

import { act, dismiss, hold, useToasts } from "../lib/toasts";
import { SHELL } from "../strings/shell";
import { Icon } from "./Icon";

export function Toasts() {
  const toasts = useToasts();
  return (
    <section
      className="toasts"
      aria-label={SHELL.notices}
      aria-live="polite"
      onPointerEnter={() => hold(true)}
      onPointerLeave={() => hold(false)}
      onFocus={() => hold(true)}
      onBlur={() => hold(false)}
    >
      {toasts.map(({ id, text, tone, action }) => (
        <div key={id} className={`toast toast-${tone}`}>
          {tone === "bad" && <Icon name="alert" />}
          <p>{text}</p>
          {action && (
            <button className="button button-small" type="button" onClick={() => act(id)}>
              {action.name}
            </button>
          )}
          <button
            className="icon-button"
            type="button"
            aria-label={SHELL.dismiss}
            onClick={() => dismiss(id)}
          >
            <Icon name="cancel" />
          </button>
        </div>
      ))}
    </section>
  );
}
