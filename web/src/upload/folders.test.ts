import { expect, it } from "vitest";
import { filesOf, isWanted } from "./folders";

it("leaves out what systems put into folders", () => {
  expect(["a.mov", ".DS_Store", "Thumbs.db", "desktop.ini", "._a.mov"].filter(isWanted)).toEqual(["a.mov"]);
});

const file = (name: string) => ({
  isFile: true,
  name,
  file: (done: (file: unknown) => void) => done({ name }),
});
const folder = (name: string, ...inside: { name: string }[]) => {
  // As a browser does: some, then the rest, then nothing.
  const parts = [inside.slice(0, 1), inside.slice(1), []].filter((part, at) => part.length > 0 || at === 2);
  return {
    isFile: false,
    name,
    createReader: () => ({ readEntries: (done: (part: unknown) => void) => done(parts.shift() ?? []) }),
  };
};
it("finds every file of a folder in folders", async () => {
  const files = await filesOf([
    folder("card", folder("b", file("2.mov"), file("1.mov")), file(".hidden"), folder("a", file("0.mov"))),
    file("z.mov"),
  ] as unknown as FileSystemEntry[]);
  expect(files.map(({ name }) => name)).toEqual(["0.mov", "1.mov", "2.mov", "z.mov"]);
});
