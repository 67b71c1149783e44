// A button that opens a short list of which one is chosen.

import "../styles/menu.css";
import { useEffect, useId, useRef, useState, type KeyboardEvent } from "react";
import { Icon, type IconName } from "./Icon";

interface MenuProps<T> {
  icon: IconName;
  label: string;
  /** What the button says of the present choice. */
  value: string;
  options: readonly { value: T; name: string; note?: string }[];
  chosen: T;
  onChoose: (value: T) => void;
}

export function Menu<T extends string | number | null>({
  icon,
  label,
  value,
  options,
  chosen,
  onChoose,
}: MenuProps<T>) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const id = useId();

  useEffect(() => {
    if (!open) return;
    const items = root.current?.querySelectorAll<HTMLElement>("[role=menuitemradio]");
    (root.current?.querySelector<HTMLElement>("[aria-checked=true]") ?? items?.[0])?.focus();
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
    const items = [...(root.current?.querySelectorAll<HTMLElement>("[role=menuitemradio]") ?? [])];
    const at = items.indexOf(document.activeElement as HTMLElement);
    const by: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key === "Escape" || event.key === "Tab") {
      close();
      if (event.key === "Tab") return;
    } else if (event.key in by) {
      items[(at + (by[event.key] ?? 0) + items.length) % items.length]?.focus();
    } else if (event.key === "Home") {
      items[0]?.focus();
    } else if (event.key === "End") {
      items.at(-1)?.focus();
    } else if (event.key !== "Enter" && event.key !== " ") {
      return;
    }
    // The keys of what lies around the menu stay out of it.
    event.stopPropagation();
    if (event.key !== "Enter" && event.key !== " ") event.preventDefault();
  };

  return (
    <div className="menu" ref={root}>
      <button
        ref={button}
        className="control control-text"
        type="button"
        aria-haspopup="menu"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        aria-label={`${label}: ${value}`}
        title={label}
        onClick={() => setOpen((was) => !was)}
      >
        <Icon name={icon} />
        <span className="numeric">{value}</span>
      </button>
      {open && (
        <div className="menu-list" role="menu" id={id} aria-label={label} onKeyDown={key}>
          {options.map((option) => (
            <button
              key={String(option.value)}
              type="button"
              role="menuitemradio"
              aria-checked={option.value === chosen}
              tabIndex={-1}
              data-value={String(option.value)}
              onClick={() => {
                onChoose(option.value);
                close();
              }}
            >
              <Icon name="check" />
              <span className="numeric">{option.name}</span>
              {option.note && <span className="hint numeric">{option.note}</span>}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
