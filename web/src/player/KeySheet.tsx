// Which key does what.

import { KEYS, PLAYER } from "../strings/player";
import { Dialog } from "../ui/Dialog";

export function KeySheet({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title={PLAYER.keys} onClose={onClose} wide>
      <div className="key-groups">
        {KEYS.map(({ title, keys }) => (
          <section key={title}>
            <h3>{title}</h3>
            <dl className="keys">
              {keys.map(([names, what]) => (
                <div key={names.join()}>
                  <dt>
                    {names.map((name) => (
                      <kbd key={name}>{name}</kbd>
                    ))}
                  </dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <div className="dialog-actions">
        <button className="button" type="button" autoFocus onClick={onClose}>
          {PLAYER.close}
        </button>
      </div>
    </Dialog>
  );
}
