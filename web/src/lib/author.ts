// What a person calls themselves in comments; kept in this browser, since there are no accounts.

const KEY = "author";

export function author(): string {
  try {
    return localStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

export function setAuthor(name: string) {
  try {
    localStorage.setItem(KEY, name.trim().slice(0, 80));
  } catch {
    // Then it is asked for again.
  }
}
