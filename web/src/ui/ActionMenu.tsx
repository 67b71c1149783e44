// A button that opens a list of things to do.

import "../styles/menu.css";
import { useEffect, useId, useRef, useState, type KeyboardEvent, type RefObject } from "react";
import { Icon, type IconName } from "./Icon";

interface ActionMenuProps {
  /** What a screen reader says; `text` is what stands on the button. */
  label: string;
  text: string;
  icon: IconName;
  disabled?: boolean;
  /** The list opens below the button. */
  down?: boolean;
  buttonRef?: RefObject<HTMLButtonElement | null>;
  items: readonly { key: string; name: string; note?: string; run: () => void }[];
}

export function ActionMenu(props: ActionMenuProps) {
  const { label, text, icon, items, disabled = false, down = false } = props;
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const own = useRef<HTMLButtonElement>(null);
  const button = props.buttonRef ?? own;
  const id = useId();

  useEffect(() => {
    if (!open) return;
    root.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus({ preventScroll: true });
    root.current?.querySelector("[role=menu]")?.scrollIntoView({ block: "nearest" });
    const away = (event: globalThis.PointerEvent) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    addEventListener("pointerdown", away);
    return () => removeEventListener("pointerdown", away);
  }, [open]);

  const close = () => {
    setOpen(false);
    button.current?.focus();
  };
  const key = (event: KeyboardEvent) => {
    const all = [...(root.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
    const at = all.indexOf(document.activeElement as HTMLElement);
    if (event.key === "Escape" || event.key === "Tab") close();
    else if (event.key === "ArrowDown") all[(at + 1) % all.length]?.focus();
    else if (event.key === "ArrowUp") all[(at - 1 + all.length) % all.length]?.focus();
    else if (event.key === "Home") all[0]?.focus();
    else if (event.key === "End") all.at(-1)?.focus();
    else if (event.key !== "Enter" && event.key !== " ") return;
    // The keys of what lies around the menu stay out of it.
    event.stopPropagation();
    if (event.key !== "Enter" && event.key !== " " && event.key !== "Tab") event.preventDefault();
  };

  return (
    <div className={down ? "menu menu-down" : "menu"} ref={root}>
      <button
        ref={button}
        className="button button-small"
        type="button"
        disabled={disabled}
        aria-haspopup="menu"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        aria-label={label}
        onClick={() => setOpen((was) => !was)}
      >
        <Icon name={icon} />
        {text}
      </button>
      {open && (
        <div className="menu-list" role="menu" id={id} aria-label={label} onKeyDown={key}>
          {items.map(({ key: name, ...item }) => (
            <button
              key={name}
              type="button"
              role="menuitem"
              tabIndex={-1}
              onClick={() => {
                close();
                item.run();
              }}
            >
              <span>{item.name}</span>
              {item.note && <span className="hint">{item.note}</span>}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
