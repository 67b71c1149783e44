// Whether single letters are shortcuts on the whole page. Who dictates or types with help switches that off
// (WCAG 2.1.4); they then work only where the focus is.

const NAME = "reelmesh-single-keys";

export function keysEverywhere(): boolean {
  try {
    return localStorage.getItem(NAME) !== "focused";
  } catch {
    // No storage is allowed: nothing was ever switched off.
    return true;
  }
}

export function setKeysEverywhere(everywhere: boolean) {
  try {
    if (everywhere) localStorage.removeItem(NAME);
    else localStorage.setItem(NAME, "focused");
  } catch {
    // It holds as long as nothing is remembered anyway.
  }
}
