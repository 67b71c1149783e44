// Hands a file to the person.

export function download(blob: Blob, name: string) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser has begun to read it by the next turn of its loop; give slow ones more.
  setTimeout(() => URL.revokeObjectURL(link.href), 30_000);
}
