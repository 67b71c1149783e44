// Files out of what was dropped, folders and all that lies in them included.

/** More than this is a mistake of the hand, such as a whole disk. */
export const FILES_MAX = 5000;

/** Pure: what a system puts into every folder, and nobody wants to upload. */
export function isWanted(name: string): boolean {
  return !name.startsWith(".") && !/^(thumbs\.db|desktop\.ini)$/i.test(name);
}

/** All files, in the order of their names, folder by folder. */
export async function filesOf(entries: readonly FileSystemEntry[]): Promise<File[]> {
  const files: File[] = [];
  await gather(entries, files);
  return files;
}

async function gather(entries: readonly FileSystemEntry[], files: File[]) {
  for (const entry of entries) {
    if (files.length >= FILES_MAX) return;
    if (entry.isFile) {
      if (isWanted(entry.name)) files.push(await asFile(entry as FileSystemFileEntry));
    } else if (isWanted(entry.name)) {
      const inside = await all((entry as FileSystemDirectoryEntry).createReader());
      await gather(
        inside.sort((a, b) => (a.name < b.name ? -1 : 1)),
        files,
      );
    }
  }
}

function asFile(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

/** A reader gives a hundred at a time, and nothing when there are no more. */
async function all(reader: FileSystemDirectoryReader): Promise<FileSystemEntry[]> {
  const found: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (some.length === 0) return found;
    found.push(...some);
  }
}
